"""The documents of the database, read without the application's models."""

from __future__ import annotations

from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.support.own_client import collection

COLLECTIONS = ("users", "inboxes", "portfolios", "movements", "trades", "notifications", "answers")
OPEN = ("PENDING", "ACTIVE")
CLOSING = ("trade_exited", "trade_auto_closed")
ENDING = ("trade_cancelled", "trade_expired", "trade_rejected")


def documents(name: str, **query: Any) -> list[dict[str, Any]]:
    """Return a collection's documents, in a stable order."""
    return sorted(collection(name).find(query), key=lambda each: str(each["_id"]))


def all_documents() -> dict[str, list[dict[str, Any]]]:
    """Return the documents of every collection; equal results mean that nothing was written."""
    return {name: documents(name) for name in COLLECTIONS}


def assert_invariants(user_id: str) -> None:
    """Check every invariant of a user's documents, and that each trade closed at most once."""
    (inbox,) = documents("inboxes", _id=user_id)
    trades = documents("trades", user_id=user_id)
    events = documents("notifications", user_id=user_id)
    unfilled = [trade for trade in trades if trade.get("end_reason")]
    ended = [trade for trade in trades if trade["status"] not in OPEN and trade not in unfilled]
    immediate = [trade for trade in unfilled if _ended_at_once(trade)]
    for portfolio in documents("portfolios", user_id=user_id):
        own = [trade for trade in trades if trade["portfolio_id"] == portfolio["_id"]]
        assert {trade["portfolio"] for trade in own} <= {portfolio["name"]}
        _assert_balances(portfolio, own)

    assert sorted(event["seq"] for event in events) == list(range(1, inbox["event_seq"] + 1))
    created = [trade for trade in trades if trade not in immediate]
    assert _trades_in(events, "trade_created") == Counter(str(each["_id"]) for each in created)
    assert _trades_in(events, *CLOSING) == Counter(str(each["_id"]) for each in ended)
    assert _trades_in(events, *ENDING) == Counter(str(each["_id"]) for each in unfilled)
    assert all("pending_until" not in trade for trade in trades if trade["status"] != "PENDING")


def _ended_at_once(trade: dict[str, Any]) -> bool:
    reason: str = trade["end_reason"]
    is_of_pair = reason == "oco_rejected" and "version" not in trade
    return reason == "ioc" or reason.startswith("broker_") or is_of_pair


def _assert_balances(portfolio: dict[str, Any], trades: list[dict[str, Any]]) -> None:
    held = [trade for trade in trades if trade["status"] in OPEN]
    season = [trade for trade in trades if trade["number"] > portfolio["season_start"]]
    ended = [trade for trade in season if trade not in held and not trade.get("end_reason")]

    assert all(trade in season for trade in held), "a trade outlived its season"
    assert portfolio["utilized_margin"] == sum(map(_blocked_margin, held), Decimal(0))
    parts = [part for each in held for part in each.get("partial_exits", ())]
    assert portfolio["total_pnl"] == sum((each["pnl"] for each in [*ended, *parts]), Decimal(0))
    assert portfolio["closed_count"] == len(ended)
    assert (
        portfolio["available_margin"] + portfolio["utilized_margin"]
        == portfolio["initial_margin"]
        + portfolio["deposits"]
        - portfolio["withdrawals"]
        + portfolio["total_pnl"]
    )
    assert sorted(trade["number"] for trade in trades) == list(range(1, len(trades) + 1))


def _blocked_margin(trade: dict[str, Any]) -> Decimal:
    """Return the rupees that an open trade blocks: without the rounded share of its exits."""
    exited = sum(part["quantity"] for part in trade.get("partial_exits", ()))
    share: Decimal = trade["margin_used"] * exited / trade["quantity"]
    released = share.quantize(Decimal("0.01"), ROUND_HALF_UP)
    blocked: Decimal = trade["margin_used"] - released
    return blocked


def _trades_in(events: list[dict[str, Any]], *types: str) -> Counter[str]:
    return Counter(event["data"]["trade_id"] for event in events if event["type"] in types)
