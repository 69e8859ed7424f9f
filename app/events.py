"""Events: recorded in the transaction that causes them, and published after its commit.

Services publish; sockets and the outbox listen. So services depend on neither, and a failing
listener cannot undo or delay committed work.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from blinker import Namespace

from app.database.transactions import resolve_unknown_outcomes
from app.logs import logger
from app.metrics import metrics
from app.models import EventDraft, EventType, Notification
from app.services import application, services

LOGGED_FIELDS = ("trade_id", "symbol", "exit_price", "pnl")
_signals = Namespace()
events_committed = _signals.signal("events-committed")
events_missed = _signals.signal("events-missed")
sessions_ended = _signals.signal("sessions-ended")


def record_events(drafts: Sequence[EventDraft], time: datetime) -> list[Notification]:
    """Write events in the current transaction; raise AccountGone if a user is deleted.

    The outbox sends them from then on, unless no channel is configured to send.
    """
    sends = services().settings.sends_messages
    return Notification.create(drafts, time, sends=sends)


def publish_events(events: Sequence[Notification]) -> None:
    """Pass committed events to every listener."""
    if not events:
        return
    for event in events:
        brief = {name: event.data[name] for name in LOGGED_FIELDS if name in event.data}
        fields = {"user": event.user_id, "seq": event.seq, **brief}
        metrics().events.labels(EventType.of(event.type).value).inc()
        logger.info(event.type.replace("\n", " "), extra={"fields": fields})
    app = application()
    for receiver in events_committed.receivers_for(app):
        try:
            receiver(app, events=events)
        except Exception:
            # The events are in the database: sockets catch up by seq, the outbox by due times.
            # The response to a committed trade must not be an error.
            logger.exception("a listener failed on %d events", len(events))


def republish_unconfirmed() -> None:
    """Have listeners look for committed events that were not published.

    They belong to transactions whose commit had no reply. Raises PyMongoError if the database is
    still unavailable.
    """
    app = application()
    resolve_unknown_outcomes(lambda user_id: events_missed.send(app, user_id=user_id))
