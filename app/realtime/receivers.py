"""What the signals of an application do: for its own sockets, and for those of other processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Flask

from app.events import events_committed, events_missed, sessions_ended
from app.realtime.batches import encode_prices, send_batches
from app.realtime.connections import Connections
from app.realtime.prices import prices_published
from app.realtime.relay import Relay


class Receivers:
    """Signals hold them weakly: they end with the object."""

    def __init__(self, app: Flask, connections: Connections, relay: Relay | None) -> None:
        self._connections = connections
        self._relay = relay
        # Two receivers, so that neither depends on the success of the other.
        events_committed.connect(connections.rooms.publish, sender=app)
        if relay:
            events_committed.connect(relay.announce, sender=app)
        events_missed.connect(self._catch_up, sender=app)
        sessions_ended.connect(self._disconnect, sender=app)
        prices_published.connect(self._send_prices, sender=app)

    def _catch_up(self, _sender: Flask, user_id: str) -> None:
        self._connections.rooms.catch_up(user_id)
        if self._relay:
            self._relay.publish([user_id])

    def _disconnect(self, _sender: Flask, session_ids: Sequence[str]) -> None:
        self._connections.disconnect_sessions(session_ids)
        if self._relay:
            self._relay.publish_ended(session_ids)

    def _send_prices(self, _sender: Flask, payloads: Sequence[Mapping[str, Any]]) -> None:
        prices = encode_prices(payloads)
        if self._relay:
            self._relay.publish_prices(prices)
        send_batches(self._connections, prices)
