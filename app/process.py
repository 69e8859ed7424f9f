"""The server process: the application with all that works beside it, started and stopped."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable
from functools import partial

from flask import Flask
from pymongo.errors import PyMongoError

from app import database
from app.banner import publish_events
from app.delivery import Outbox, create_senders
from app.embedded import EmbeddedDatabase
from app.extensions import mongo, socketio
from app.factory import create_app
from app.logs import logger
from app.monitor import Monitor
from app.services import services
from app.serving import serve, wait_for_signal
from app.watchdog import Watchdog
from app.web.health import MONITOR_KEY, PULSE_KEY
from config import ConfigurationError, Settings


class Server:
    """Everything that `python run.py` runs, in the order it is started.

    The `listener` and the `database`, where it is an embedded one that has begun, are its
    caller's, to be ended after it.
    """

    def __init__(
        self, settings: Settings, listener: socket.socket, database: EmbeddedDatabase | None
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._database = database
        self._stops: list[Callable[[], None]] = []
        # 1 if the web server failed.
        self.exit_status = 0

    def run(self) -> None:
        """Run until SIGINT or SIGTERM; raise ConfigurationError if it cannot start."""
        try:
            self._start()
            wait_for_signal()
            logger.info("stopping")
        finally:
            for stop in reversed(self._stops):
                stop()

    def _fail(self) -> None:
        """End because no more connections can be accepted: a supervisor starts the next."""
        self.exit_status = 1
        os.kill(os.getpid(), signal.SIGTERM)

    def _start(self) -> None:
        app = self._create_app()
        for worker in start_workers(app):
            self._stops.append(worker.stop)
        self._stops.append(serve(app, self._listener, on_failure=self._fail))
        # What a start leaves is there to stay: looking through it again at each full collection
        # of garbage would hold up requests for a tenth of a second.
        gc.collect()
        gc.freeze()
        publish_events(app, self._listener.getsockname()[1])

    def _create_app(self) -> Flask:
        if self._database:
            self._database.wait()
        try:
            app = create_app(
                self._settings,
                mongo_uri=self._database.uri if self._database else None,
                disk=self._database.disk if self._database else None,
            )
        except PyMongoError as error:
            raise ConfigurationError(
                [f"MONGO_URI: the database does not answer: {error}"]
            ) from None
        self._stops.append(_close_client)
        if self._database:
            socketio.start_background_task(self._database.watch, partial(database.move, app))
            watchdog = Watchdog(app, self._database, app.extensions[PULSE_KEY])
            self._stops.append(watchdog.stop)
            socketio.start_background_task(watchdog.run)
        return app


def start_workers(app: Flask) -> tuple[Monitor, Outbox]:
    """Start the monitor and the outbox in the background of this process."""
    with app.app_context():
        parts = services()
    monitor = Monitor(app)
    outbox = Outbox(app, parts.clock, create_senders(parts.settings))
    app.extensions[MONITOR_KEY] = monitor
    socketio.start_background_task(monitor.run)
    socketio.start_background_task(outbox.run)
    return monitor, outbox


def _close_client() -> None:
    if mongo.cx is not None:
        mongo.cx.close()
