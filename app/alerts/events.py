"""The event of an alert: a message for the user, and data for programs."""

from __future__ import annotations

from app.domain.alert import Direction, Trigger
from app.domain.money import format_rupees
from app.domain.triggers import SettledFrom
from app.models import AlertTrigger, EventDraft

_MOVED = {Direction.ABOVE: "rose", Direction.BELOW: "fell"}


def price_alert(firing: AlertTrigger) -> EventDraft:
    """Return the event of an alert that fired."""
    alert, crossing = firing.alert, firing.crossing
    quote, levels = crossing.quote, alert.levels
    return EventDraft(
        user_id=alert.user_id,
        type="price_alert",
        message=f"{alert.symbol} {_MOVED[crossing.direction]} to {format_rupees(quote.price)}"
        f"{_when(crossing)}. Your alert was set for "
        f"{format_rupees(levels.level(crossing.direction))} or {crossing.direction}.",
        data={
            "alert_id": str(alert.id),
            "symbol": alert.symbol,
            "above": levels.above,
            "below": levels.below,
            "direction": crossing.direction.value,
            "price": quote.price,
            "source": quote.source.value,
            "timestamp": quote.timestamp,
            **({"settled_from": crossing.settled_from.value} if crossing.settled_from else {}),
        },
    )


def _when(crossing: Trigger) -> str:
    if crossing.settled_from is not SettledFrom.GAP:
        return ""
    time = f"{crossing.quote.timestamp:%d %b %Y %H:%M} UTC"
    return f" at {time}, while the server was away or had no prices"
