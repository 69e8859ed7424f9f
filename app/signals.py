"""What has happened, told to whom it may concern once it is committed.

Services announce; sockets and the outbox listen. So no service knows of either, and nothing
that goes wrong while telling can undo, or delay, what was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from blinker import Namespace
from flask import current_app

from app.logs import logger

if TYPE_CHECKING:
    from app.models import Notification

events_committed = Namespace().signal("events-committed")


def announce(events: Sequence[Notification]) -> None:
    """Tell every listener of events that are in the database."""
    if not events:
        return
    for event in events:
        fields = {"user": event.user_id, "seq": event.seq, **_brief(event)}
        logger.info(event.type.replace("\n", " "), extra={"fields": fields})
    # The application itself, not the proxy to it, is what listeners are connected to.
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    for receiver in events_committed.receivers_for(app):
        try:
            receiver(app, events=events)
        except Exception:
            # Whatever a listener missed here is in the database: sockets catch up by seq, the
            # outbox by its due times. A committed trade must not be answered with an error.
            logger.exception("a listener failed to hear of %d events", len(events))


def _brief(event: Notification) -> dict[str, object]:
    named = ("trade_id", "symbol", "exit_price", "pnl")
    return {name: event.data[name] for name in named if name in event.data}
