"""The event of an alert: a message for the user, and data for programs."""

from __future__ import annotations

from app.domain.alert import Direction, Trigger
from app.domain.money import format_rupees
from app.domain.triggers import SettledFrom
from app.models import AlertTrigger, EventDraft

_MOVED = {Direction.ABOVE: "rose", Direction.BELOW: "fell"}


def price_alert(alert_trigger: AlertTrigger) -> EventDraft:
    """Return the event of an alert that fired."""
    alert, trigger = alert_trigger.alert, alert_trigger.trigger
    quote, condition = trigger.quote, alert.condition
    return EventDraft(
        user_id=alert.user_id,
        type="price_alert",
        message=f"{alert.symbol} {_MOVED[trigger.direction]} to {format_rupees(quote.price)}"
        f"{_when(trigger)}. Your alert was set for "
        f"{format_rupees(condition.level(trigger.direction))} or {trigger.direction}.",
        data={
            "alert_id": str(alert.id),
            "symbol": alert.symbol,
            "above": condition.above,
            "below": condition.below,
            "direction": trigger.direction.value,
            "price": quote.price,
            "source": quote.source.value,
            "timestamp": quote.timestamp,
            **({"settled_from": trigger.settled_from.value} if trigger.settled_from else {}),
        },
    )


def _when(trigger: Trigger) -> str:
    if trigger.settled_from is not SettledFrom.GAP:
        return ""
    time = f"{trigger.quote.timestamp:%d %b %Y %H:%M} UTC"
    return f" at {time}, while the server was away or had no prices"
