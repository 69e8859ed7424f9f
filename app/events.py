"""Events: written with what they tell of, told to whom it may concern once it is committed.

Services announce; sockets and the outbox listen. So no service knows of either, and nothing
that goes wrong while telling can undo, or delay, what was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from blinker import Namespace
from flask import current_app

from app.database.transactions import resolve_unknown_outcomes
from app.logs import logger
from app.models import EventDraft, Notification
from app.services import services

_signals = Namespace()
events_committed = _signals.signal("events-committed")
events_missed = _signals.signal("events-missed")


def record_events(drafts: Sequence[EventDraft], time: datetime) -> list[Notification]:
    """Write events in the transaction of what they tell of; raise Unauthenticated for no user.

    They are to be sent from then on. Where no channel can send, nothing is left to be done.
    """
    sends = services().settings.sends_messages
    return Notification.create(drafts, time, sends=sends)


def publish_events(events: Sequence[Notification]) -> None:
    """Tell every listener of events that are in the database."""
    if not events:
        return
    for event in events:
        fields = {"user": event.user_id, "seq": event.seq, **_brief(event)}
        logger.info(event.type.replace("\n", " "), extra={"fields": fields})
    # The application itself, not the proxy to it, is what listeners are connected to. mypy takes
    # the proxy for an application, which has no such method.
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    for receiver in events_committed.receivers_for(app):
        try:
            receiver(app, events=events)
        except Exception:
            # Whatever a listener missed here is in the database: sockets catch up by seq, the
            # outbox by its due times. A committed trade must not be answered with an error.
            logger.exception("a listener failed to hear of %d events", len(events))


def republish_unconfirmed() -> None:
    """Have listeners look for events that may be in the database without having been announced.

    They are those of transactions whose commit had no answer. Raises PyMongoError where the
    database is still away.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # as above
    resolve_unknown_outcomes(lambda user_id: events_missed.send(app, user_id=user_id))


def _brief(event: Notification) -> dict[str, object]:
    named = ("trade_id", "symbol", "exit_price", "pnl")
    return {name: event.data[name] for name in named if name in event.data}
