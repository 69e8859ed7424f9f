"""The running server: the application with its workers and its web server, started and stopped."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from pymongo.errors import PyMongoError

from app import create_app, database
from app.cli.banner import print_banner
from app.database.watchdog import Watchdog
from app.delivery import Outbox, WebhookWorker, create_senders
from app.extensions import socketio
from app.logs import logger
from app.market_data.recordings.recorder import Recorder, create_recorder
from app.monitor import Monitor
from app.monitor.answers import Answers
from app.monitor.following import Following
from app.realtime.handlers import KEY as SOCKETS_KEY
from app.services import services
from app.transport.connections import CONNECTIONS_KEY, Bounds, ConnectionTable
from app.transport.descriptors import connections_for, raise_descriptor_limit
from app.transport.listener import listen_on, location
from app.transport.server import HttpServer
from app.transport.sessions import SessionGuard
from app.web.health import MONITOR_KEY, PULSE_KEY, RECORDER_KEY, WORKERS_KEY
from app.web.metrics import serve_only_metrics
from app.web.schemas import MAXIMUM_BODY_BYTES
from config import ConfigurationError, Settings
from embedded_db.supervisor import EmbeddedDatabase

# The default of the threading mode, in which each connection has a thread.
MAX_THREADED_CONNECTIONS = 1_024
MAX_METRICS_CONNECTIONS = 16


def run_server(
    settings: Settings, listener: socket.socket, embedded: EmbeddedDatabase | None
) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status.

    `embedded` has begun to start. The caller closes the listener and stops the database.
    Raises ConfigurationError and StartError if the server cannot start.
    """
    failures: list[str] = []

    def fail() -> None:
        failures.append("connections can no longer be accepted")
        os.kill(os.getpid(), signal.SIGTERM)

    with ExitStack() as stops:
        app = _create_app(settings, embedded, stops)
        for worker in start_workers(app, owns_database=embedded is not None):
            stops.callback(worker.stop)
        # Before the first request, so that its log line comes after the banner.
        print_banner(app, listener.getsockname()[1])
        if embedded and settings.app_env != "development":
            logger.warning("the embedded database is for development, tests and demos")
        stops.callback(serve(app, listener, on_failure=fail))
        stops.callback(serve_metrics(app))
        # Objects of the start stay for good. Unfrozen, each full garbage collection would look
        # through them and hold up requests for a tenth of a second.
        gc.collect()
        gc.freeze()
        gc.enable()
        wait_for_signal()
        logger.info("stopping")
    return 1 if failures else 0


def start_workers(
    app: Flask, *, owns_database: bool = False
) -> list[Recorder | Monitor | Outbox | WebhookWorker]:
    """Start what works in the background of this process; return it, the last to stop first.

    With `owns_database` this process has started the database.
    """
    with app.app_context():
        parts = services()
    recorder = create_recorder(parts.settings, parts.clock, parts.actions.of)
    app.extensions[RECORDER_KEY] = recorder
    monitor = Monitor(app, owns_database=owns_database, recorder=recorder)
    outbox = Outbox(app, parts.clock, create_senders(parts.settings))
    webhooks = WebhookWorker(app, parts.clock)
    app.extensions[MONITOR_KEY] = monitor
    if parts.settings.redis_url:
        Answers(app, parts.settings.redis_url, monitor.sharing).start()
    if recorder:
        socketio.start_background_task(recorder.run)
    socketio.start_background_task(monitor.run)
    socketio.start_background_task(outbox.run)
    socketio.start_background_task(webhooks.run)
    return [*([recorder] if recorder else []), monitor, outbox, webhooks]


def serve(
    app: Flask, listener: socket.socket, on_failure: Callable[[], None] = lambda: None
) -> Callable[[], None]:
    """Begin to serve in the background; return the function that stops it.

    It first reports the end by /health/ready for STOP_DELAY_SECONDS. `on_failure` is called if the
    server ends by itself.
    """
    with app.app_context():
        settings = services().settings
    table = ConnectionTable(_bounds(settings, raise_descriptor_limit()))
    app.extensions[CONNECTIONS_KEY] = table
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
        behind_proxy=bool(settings.trusted_proxies),
    )
    server.start()

    def stop() -> None:
        table.ending = True
        socketio.sleep(settings.stop_delay_seconds)
        server.stop(guard.close_all)
        app.extensions[SOCKETS_KEY].stop()

    return stop


def serve_metrics(app: Flask) -> Callable[[], None]:
    """Begin to serve /metrics on METRICS_PORT, if it is set; return the function that stops it.

    Raises ConfigurationError if the port cannot be used.
    """
    with app.app_context():
        settings = services().settings
    if settings.metrics_port is None:
        return lambda: None
    listener = listen_on(settings.metrics_host, settings.metrics_port, "METRICS_HOST, METRICS_PORT")
    logger.info("metrics at http://%s/metrics", location(*listener.getsockname()[:2]))
    server = HttpServer(
        serve_only_metrics(app),
        listener,
        ConnectionTable(Bounds(MAX_METRICS_CONNECTIONS, None)),
        max_body=MAXIMUM_BODY_BYTES,
        spawn=socketio.start_background_task,
        sleep=socketio.sleep,
        on_failure=lambda: logger.error("metrics can no longer be read"),
    )
    server.start()
    return lambda: server.stop(lambda: None)


def start_following(app: Flask) -> Following:
    """Start what a web process does besides requests, in the background."""
    following = Following(app)
    # Before the first order, which needs a quote that a worker shares.
    with suppress(PyMongoError):
        following.run_once()
    socketio.start_background_task(following.run)
    return following


def announce_web_process(app: Flask) -> None:
    """Log that this process serves requests only, and warn if no worker runs."""
    with app.app_context():
        address = location(services().settings.host, services().settings.port)
        problem = app.extensions[WORKERS_KEY].problem()
    logger.info("web process: listening on http://%s", address)
    if problem:
        logger.warning("web process: %s", problem)


def wait_for_signal() -> None:
    """Return on SIGINT or SIGTERM.

    The interpreter writes each signal's number to a socket, and this function reads from it. That
    wakes the loop of every async mode, whichever thread received the signal. A handler would have
    to wait for the main thread, and an exception from it would strike a random greenlet.
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


def _create_app(settings: Settings, embedded: EmbeddedDatabase | None, stops: ExitStack) -> Flask:
    if embedded:
        embedded.wait()
    # Also if the application cannot be made: its client would log that the database is gone.
    stops.callback(database.close)
    try:
        app = create_app(
            settings,
            mongo_uri=embedded.uri if embedded else None,
            disk=embedded.disk if embedded else None,
        )
    except PyMongoError as error:
        raise ConfigurationError([f"MONGO_URI: the database does not answer: {error}"]) from None
    if embedded:
        socketio.start_background_task(embedded.watch, partial(database.move, app))
        watchdog = Watchdog(app, embedded, app.extensions[PULSE_KEY])
        stops.callback(watchdog.stop)
        socketio.start_background_task(watchdog.run)
    return app


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
    per_address = settings.max_connections_per_address or max(total // 2, 1)
    # Behind a proxy every connection has the proxy's address.
    return Bounds(total, None if settings.trusted_proxies else min(per_address, total))


def _yield_first(app: Flask) -> WSGIApplication:
    """Let other greenlets run before each request.

    A greenlet yields only when it waits. A client that sends its next request at once would be
    served without a pause, and meanwhile no other request, socket or tick would be handled.
    """

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        socketio.sleep(0)
        return app(environ, start_response)

    return respond
