"""Serving the application: the web server of each async mode, and an orderly end."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask

from app.extensions import socketio


def serve(app: Flask, listener: socket.socket) -> Callable[[], None]:
    """Begin to serve in the background; return what stops it."""
    return _SERVERS[socketio.async_mode](_in_turn(app), listener)


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


def _in_turn(app: Flask) -> WSGIApplication:
    """Let each request give way to whatever else is ready to go on.

    A greenlet gives way only where it waits. A client that asks again at once has its next
    request there before this one's greenlet would wait for it: it would be served alone for as
    long as it goes on, and meanwhile no other request, no socket and no tick.
    """

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        socketio.sleep(0)
        return app(environ, start_response)

    return respond


def _serve_eventlet(app: WSGIApplication, listener: socket.socket) -> Callable[[], None]:
    import eventlet
    import eventlet.wsgi

    server = eventlet.spawn(
        eventlet.wsgi.server,
        listener,
        app,
        log_output=False,
        max_size=10_000,
        capitalize_response_headers=False,
    )
    stop: Callable[[], None] = server.kill
    return stop


def _serve_gevent(app: WSGIApplication, listener: socket.socket) -> Callable[[], None]:
    from gevent import pywsgi

    server = pywsgi.WSGIServer(listener, app, log=None)
    server.start()
    return lambda: server.stop(timeout=1)


def _serve_threading(app: WSGIApplication, listener: socket.socket) -> Callable[[], None]:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class QuietHandler(WSGIRequestHandler):
        def log_request(self, *args: Any) -> None:
            """Log nothing: the application logs each request itself."""

    host, port = listener.getsockname()[:2]
    server = make_server(
        host, port, app, threaded=True, request_handler=QuietHandler, fd=listener.fileno()
    )
    # Requests still being served do not keep the process alive. `make_server` is declared to
    # return a server of any kind; the one with threads has this.
    server.daemon_threads = True  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()

    def stop() -> None:
        with contextlib.suppress(OSError):
            server.shutdown()

    return stop


_SERVERS: dict[str, Callable[[WSGIApplication, socket.socket], Callable[[], None]]] = {
    "eventlet": _serve_eventlet,
    "gevent": _serve_gevent,
    "threading": _serve_threading,
}
