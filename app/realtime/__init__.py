"""Sockets: prices to whoever wants them, events to the user they belong to."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask

from app.events import events_committed, events_missed
from app.extensions import socketio
from app.models import Notification
from app.realtime import asyncapi, handlers
from app.realtime.connections import Connections
from app.realtime.relay import KEY as RELAY_KEY
from app.realtime.relay import Relay
from app.realtime.rooms import UserRooms
from app.web import cors
from config import Settings


def init_app(app: Flask, settings: Settings) -> None:
    """Bind Socket.IO, and have committed events shown in the rooms they belong to."""
    socketio.init_app(
        app,
        async_mode=settings.socketio_async_mode,
        cors_allowed_origins=cors.policy(app).allows,
        # There are no cookies, so no page needs to send any.
        cors_credentials=False,
        message_queue=settings.redis_url,
        # One message of a socket after the other: whoever sends faster than they can be handled
        # waits, and what they send is not kept meanwhile.
        async_handlers=False,
        max_http_buffer_size=64 * 1024,
    )
    app.register_blueprint(asyncapi.blueprint)
    rooms = UserRooms()
    app.extensions[handlers.KEY] = Connections(rooms)
    relay = Relay(app, settings.redis_url, rooms) if settings.redis_url else None
    if relay:
        app.extensions[RELAY_KEY] = relay
        relay.start()

    def show(sender: Flask, events: Sequence[Notification]) -> None:
        rooms.publish(events)
        if relay:
            relay.tell({event.user_id for event in events})

    def look(sender: Flask, user_id: str) -> None:
        rooms.catch_up(user_id)
        if relay:
            relay.tell([user_id])

    # Held by the application, so that it listens for as long as the application is there.
    app.extensions["show_events"] = show, look
    events_committed.connect(show, sender=app)
    events_missed.connect(look, sender=app)
