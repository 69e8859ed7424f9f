"""Sockets: prices for their subscribers, events for their user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Flask

from app.events import events_committed, events_missed, sessions_ended
from app.extensions import socketio
from app.realtime import asyncapi, handlers
from app.realtime.batches import encode_prices, send_batches
from app.realtime.connections import Connections
from app.realtime.prices import prices_published
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
    rooms = UserRooms()
    app.extensions[handlers.KEY] = connections = Connections(rooms)
    events_committed.connect(rooms.publish, sender=app)
    relay = Relay(app, settings.redis_url, connections) if settings.redis_url else None
    if relay:
        app.extensions[RELAY_KEY] = relay
        events_committed.connect(relay.announce, sender=app)
        relay.start()

    def catch_up(sender: Flask, user_id: str) -> None:
        rooms.catch_up(user_id)
        if relay:
            relay.publish([user_id])

    def disconnect(sender: Flask, session_ids: Sequence[str]) -> None:
        connections.disconnect_sessions(session_ids)
        if relay:
            relay.publish_ended(session_ids)

    def send_prices(sender: Flask, payloads: Sequence[dict[str, Any]]) -> None:
        prices = encode_prices(payloads)
        if relay:
            relay.publish_prices(prices)
        send_batches(connections, prices)

    # Signals hold receivers weakly, so the application keeps these alive.
    app.extensions["event_receivers"] = catch_up, disconnect, send_prices
    events_missed.connect(catch_up, sender=app)
    sessions_ended.connect(disconnect, sender=app)
    prices_published.connect(send_prices, sender=app)
