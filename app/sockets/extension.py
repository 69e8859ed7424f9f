"""Flask-SocketIO with our server in it."""

from __future__ import annotations

from typing import Any

import flask_socketio
from flask import Flask
from socketio import RedisManager

from app.sockets.server import Server

# Flask-SocketIO's default, shared with processes of an earlier version.
CHANNEL = "flask-socketio"
PATH = "socket.io"


# The package has no types, so its class is Any to mypy.
class SocketIO(flask_socketio.SocketIO):  # type: ignore[misc]
    """Flask-SocketIO with our Server: it offers no way to choose the class."""

    # Our Server, once an application is bound.
    server: Any

    def init_app(self, app: Flask, *, message_queue: str | None = None, **options: Any) -> None:
        """Serve the handlers at /socket.io of an application."""
        app.extensions["socketio"] = self
        self.manage_session = False
        if message_queue:
            options["client_manager"] = RedisManager(message_queue, channel=CHANNEL)
        self.server = Server(**options)
        self.async_mode = self.server.async_mode
        for event, handler, namespace in self.handlers:
            self.server.on(event, handler, namespace=namespace)
        middleware = flask_socketio._SocketIOMiddleware(self.server, app, socketio_path=PATH)
        # As Flask's documentation does; mypy takes it for an assignment to a method.
        app.wsgi_app = middleware  # type: ignore[method-assign]
