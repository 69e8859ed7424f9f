"""Flask-SocketIO with our server in it."""

from __future__ import annotations

from typing import Any

import flask_socketio
from flask import Flask
from socketio import RedisManager

from app.sockets.server import Server

# Flask-SocketIO's own name for it: processes of an earlier version share it.
CHANNEL = "flask-socketio"
PATH = "socket.io"


# The package has no types, so its class is Any to mypy.
class SocketIO(flask_socketio.SocketIO):  # type: ignore[misc]
    """Flask-SocketIO, which makes a server of its own class and leaves no choice."""

    # A Server, once an application is bound.
    server: Any

    def init_app(self, app: Flask, *, message_queue: str | None = None, **options: Any) -> None:
        """Serve the events of the handlers at /socket.io of an application."""
        app.extensions["socketio"] = self
        self.manage_session = False
        if message_queue:
            options["client_manager"] = RedisManager(message_queue, channel=CHANNEL)
        self.server = Server(**options)
        self.async_mode = self.server.async_mode
        for event, handler, namespace in self.handlers:
            self.server.on(event, handler, namespace=namespace)
        middleware = flask_socketio._SocketIOMiddleware(self.server, app, socketio_path=PATH)
        # Flask's own documentation wraps it so; mypy takes it for assigning to a method.
        app.wsgi_app = middleware  # type: ignore[method-assign]
