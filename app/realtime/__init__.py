"""Sockets: prices for their subscribers, events for their user."""

from __future__ import annotations

from flask import Flask

from app.extensions import socketio
from app.realtime import asyncapi, handlers
from app.realtime.connections import Connections
from app.realtime.receivers import Receivers
from app.realtime.relay import KEY as RELAY_KEY
from app.realtime.relay import Relay
from app.realtime.rooms import UserRooms
from app.web import cors
from config import Settings


def init_app(app: Flask, settings: Settings) -> None:
    """Bind Socket.IO, and emit committed events in the rooms of their users."""
    socketio.init_app(
        app,
        async_mode=settings.socketio_async_mode,
        cors_allowed_origins=cors.policy(app).allows,
        # There are no cookies, so no page needs to send any.
        cors_credentials=False,
        message_queue=settings.redis_url,
        # The port tells the process: no two behind one proxy share it.
        route=str(settings.port or ""),
        # The messages of a socket are handled one after the other. A client that sends faster is
        # slowed down, instead of filling a queue.
        async_handlers=False,
        max_http_buffer_size=64 * 1024,
    )
    asyncapi.init_app(app)
    app.extensions[handlers.KEY] = connections = Connections(UserRooms())
    relay = Relay(app, settings.redis_url, connections) if settings.redis_url else None
    if relay:
        app.extensions[RELAY_KEY] = relay
        relay.start()
    app.extensions["event_receivers"] = Receivers(app, connections, relay)
