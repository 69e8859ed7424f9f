"""The documents of the database, read without the application's models."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from tests.support.own_client import collection

COLLECTIONS = ("users", "inboxes", "portfolios", "movements", "trades", "notifications", "answers")
CLOSING = ("trade_exited", "trade_auto_closed")


def documents(name: str, **query: Any) -> list[dict[str, Any]]:
    """Return a collection's documents, in a stable order."""
    return sorted(collection(name).find(query), key=lambda each: str(each["_id"]))


def all_documents() -> dict[str, list[dict[str, Any]]]:
    """Return the documents of every collection; equal results mean that nothing was written."""
    return {name: documents(name) for name in COLLECTIONS}


def assert_invariants(user_id: str) -> None:
    """Check every invariant of a user's documents, and that each trade closed at most once."""
    (portfolio,) = documents("portfolios", user_id=user_id)
    (inbox,) = documents("inboxes", _id=user_id)
    trades = documents("trades", user_id=user_id)
    events = documents("notifications", user_id=user_id)
    held = [trade for trade in trades if trade["status"] in ("PENDING", "ACTIVE")]
    ended = [trade for trade in trades if trade not in held]

    assert portfolio["utilized_margin"] == sum((each["margin_used"] for each in held), Decimal(0))
    assert portfolio["total_pnl"] == sum((each["pnl"] for each in ended), Decimal(0))
    assert (
        portfolio["available_margin"] + portfolio["utilized_margin"]
        == portfolio["initial_margin"] + portfolio["total_pnl"]
    )
    assert sorted(trade["number"] for trade in trades) == list(range(1, len(trades) + 1))
    assert sorted(event["seq"] for event in events) == list(range(1, inbox["event_seq"] + 1))
    assert _trades_in(events, "trade_created") == Counter(str(trade["_id"]) for trade in trades)
    assert _trades_in(events, *CLOSING) == Counter(str(each["_id"]) for each in ended)


def _trades_in(events: list[dict[str, Any]], *types: str) -> Counter[str]:
    return Counter(event["data"]["trade_id"] for event in events if event["type"] in types)
