"""Short helpers to create alerts and to read them and their events."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.models import Alert, Inbox, Notification, SymbolState
from tests.support.own_client import collection


def request(
    symbol: str = "^NSEI", *, above: int | str | None = None, below: int | str | None = None
) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "above": None if above is None else Decimal(above),
        "below": None if below is None else Decimal(below),
    }


def alerted_symbols() -> set[str]:
    """Return the symbols that are marked as polled for alerts."""
    return SymbolState.find_marks().alerted


def reload(alert: Alert) -> Alert:
    stored = collection("alerts").find_one({"_id": alert.id})
    assert stored is not None
    return Alert.from_document(stored)


def events_of(user_id: str) -> list[Notification]:
    inbox = Inbox.find(user_id)
    assert inbox is not None
    events = Notification.find_after(user_id, 0, inbox.event_seq)
    assert [event.seq for event in events] == list(range(1, inbox.event_seq + 1))
    return events
