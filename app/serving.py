"""Serving the application in each async mode, and an orderly end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask

from app.extensions import socketio
from app.logs import logger
from app.services import services
from app.transport import CONNECTIONS_KEY, Bounds, ConnectionTable, HttpServer, SessionGuard
from app.transport.descriptors import connections_for, raise_descriptor_limit
from app.web.schemas import MAXIMUM_BODY_BYTES
from config import Settings

# The default of the threading mode, where each connection has a thread of its own.
MAX_THREADED_CONNECTIONS = 1_024


def serve(
    app: Flask, listener: socket.socket, on_failure: Callable[[], None] = lambda: None
) -> Callable[[], None]:
    """Begin to serve in the background; return what stops it.

    `on_failure` is called if the server ends by itself.
    """
    with app.app_context():
        settings = services().settings
    limit = raise_descriptor_limit()
    table = app.extensions[CONNECTIONS_KEY] = ConnectionTable(_bounds(settings, limit))
    guard = SessionGuard(socketio.server)
    guard.install()
    server = HttpServer(
        _yield_first(app),
        listener,
        table,
        max_body=MAXIMUM_BODY_BYTES,
        spawn=socketio.start_background_task,
        sleep=socketio.sleep,
        on_failure=on_failure,
    )
    server.start()
    return lambda: server.stop(guard.close_all)


def _bounds(settings: Settings, descriptors: int) -> Bounds:
    possible = connections_for(descriptors)
    threads = settings.socketio_async_mode == "threading"
    default = MAX_THREADED_CONNECTIONS if threads else possible
    total = min(settings.max_connections or default, possible)
    if settings.max_connections and settings.max_connections > possible:
        logger.warning(
            "MAX_CONNECTIONS is %s, but the limit of open files allows %s",
            settings.max_connections,
            possible,
        )
    each = settings.max_connections_per_address or max(total // 2, 1)
    # Behind a proxy every connection is of the proxy's address.
    return Bounds(total, None if settings.trusted_proxies else min(each, total))


def wait_for_signal() -> None:
    """Return on SIGINT or SIGTERM.

    The interpreter itself writes each signal's number to a socket that the caller reads from.
    That wakes the loop of every async mode, whichever thread the signal came to; a handler would
    have to wait for the main thread, and what it raised would strike whichever greenlet runs.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno())
    for number in numbers:
        signal.signal(number, lambda *_: None)
    with reader, writer:
        while reader.recv(1)[0] not in numbers:
            continue
        signal.set_wakeup_fd(-1)


def _yield_first(app: Flask) -> WSGIApplication:
    """Let each request give way to whatever else is ready to go on.

    A greenlet gives way only where it waits. A client that asks again at once has its next
    request there before this one's greenlet would wait for it: it would be served alone for as
    long as it goes on, and meanwhile no other request, no socket and no tick.
    """

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        socketio.sleep(0)
        return app(environ, start_response)

    return respond
