"""The documents of the portfolios, read without the application's models."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.domain.side import TradeType
from app.extensions import mongo
from tests.property.portfolio_model import Account, Event, Lot

SIDES = {TradeType.BUY.value: 1, TradeType.SELL.value: -1}
EXIT_REASONS = {"CLOSED": "user", "STOP_LOSS_HIT": "stop_loss", "TARGET_HIT": "target"}


def paise(rupees: Decimal | float | None) -> int | None:
    """Return an amount in paise; fail if it is not whole paise."""
    if rupees is None:
        return None
    if isinstance(rupees, Decimal):
        assert rupees * 100 == int(rupees * 100), f"{rupees} is not whole paise"
        return int(rupees * 100)
    assert rupees == round(rupees * 100) / 100, f"{rupees} is not whole paise"
    return round(rupees * 100)


def clear() -> None:
    """Empty every collection except the schema version."""
    assert mongo.db is not None
    for name in set(mongo.db.list_collection_names()) - {"schema"}:
        mongo.db[name].delete_many({})


@dataclass(frozen=True)
class Snapshot:
    """The documents of one user; trades and events in the order of their numbers."""

    inbox: dict[str, Any]
    portfolio: dict[str, Any]
    trades: list[dict[str, Any]]
    events: list[dict[str, Any]]

    @classmethod
    def of_each(cls, users: Collection[str]) -> dict[str, Snapshot]:
        """Read every collection once, for all users."""
        inboxes = {each["_id"]: each for each in _read("inboxes")}
        portfolios = {each["user_id"]: each for each in _read("portfolios")}
        trades = _read("trades")
        events = _read("notifications", "user_id", "seq", "type", "data")
        assert {each["user_id"] for each in trades + events} <= set(users)
        return {
            user: cls(
                inboxes[user],
                portfolios[user],
                sorted((trade for trade in trades if trade["user_id"] == user), key=_number),
                sorted((event for event in events if event["user_id"] == user), key=_seq),
            )
            for user in users
        }


def assert_invariants(found: Snapshot) -> None:
    """Check the invariants of the design on the documents alone."""
    portfolio, trades, events = found.portfolio, found.trades, found.events
    active = [trade for trade in trades if trade["status"] == "ACTIVE"]
    closed = [trade for trade in trades if trade["status"] != "ACTIVE"]
    margin = portfolio["available_margin"] + portfolio["utilized_margin"]
    assert margin == portfolio["initial_margin"] + portfolio["total_pnl"]
    assert portfolio["utilized_margin"] == sum(each["margin_used"] for each in active)
    assert portfolio["total_pnl"] == sum(each["pnl"] for each in closed)
    assert (portfolio["trade_count"], portfolio["closed_count"]) == (len(trades), len(closed))
    assert portfolio["winner_count"] == sum(each["pnl"] > 0 for each in closed)

    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert found.inbox["event_seq"] == found.inbox["unread_count"] == len(events)
    exits = [event["data"]["trade_id"] for event in events if event["type"] != "trade_created"]
    assert sorted(exits) == sorted(str(each["_id"]) for each in closed), "not one exit for each"


def assert_agreement(found: Snapshot, account: Account) -> None:
    """Check that the database and the model agree to the paisa."""
    amounts = ("initial_margin", "available_margin", "utilized_margin", "total_pnl")
    assert [paise(found.portfolio[name]) for name in amounts] == [
        account.initial,
        account.available,
        account.utilized,
        account.total_pnl,
    ]
    assert [_recorded(trade) for trade in found.trades] == [_expected(lot) for lot in account.lots]
    assert _events(found) == account.events
    assert _exposure(found.portfolio) == _expected_exposure(account)


def _read(collection: str, *fields: str) -> list[dict[str, Any]]:
    assert mongo.db is not None
    return list(mongo.db[collection].find({}, fields or None))


def _number(trade: dict[str, Any]) -> int:
    return int(trade["number"])


def _seq(event: dict[str, Any]) -> int:
    return int(event["seq"])


def _recorded(trade: dict[str, Any]) -> dict[str, Any]:
    return {
        "number": trade["number"],
        "symbol": trade["symbol"],
        "side": SIDES[trade["trade_type"]],
        "quantity": trade["quantity"],
        "entry": paise(trade["entry_price"]),
        "stop": paise(trade["stop_loss"]),
        "target": paise(trade["target_price"]),
        "margin": paise(trade["margin_used"]),
        "status": trade["status"],
        "exit_reason": trade.get("exit_reason"),
        "exit_price": paise(trade.get("exit_price")),
        "pnl": paise(trade.get("pnl")),
        "settled_from": trade.get("settled_from"),
    }


def _expected(lot: Lot) -> dict[str, Any]:
    return {
        "number": lot.number,
        "symbol": lot.order.symbol,
        "side": lot.order.side,
        "quantity": lot.order.quantity,
        "entry": lot.entry,
        "stop": lot.order.stop,
        "target": lot.order.target,
        "margin": lot.margin,
        "status": lot.status,
        "exit_reason": EXIT_REASONS.get(lot.status),
        "exit_price": lot.exit_price,
        "pnl": lot.pnl,
        "settled_from": "gap" if lot.from_gap else None,
    }


def _events(found: Snapshot) -> list[Event]:
    numbers = {str(trade["_id"]): trade["number"] for trade in found.trades}
    return [
        Event(
            type=event["type"],
            number=numbers[event["data"]["trade_id"]],
            pnl=paise(event["data"].get("pnl")),
            exit_price=paise(event["data"].get("exit_price")),
        )
        for event in found.events
    ]


def _exposure(portfolio: dict[str, Any]) -> dict[str, tuple[int, int, int | None]]:
    return {
        key.replace(":", "."): (sums["trades"], sums["quantity"], paise(sums["cost"]))
        for key, sums in portfolio["exposure"].items()
        if sums["trades"] or sums["quantity"] or sums["cost"]
    }


def _expected_exposure(account: Account) -> dict[str, tuple[int, int, int]]:
    sums: dict[str, tuple[int, int, int]] = {}
    for lot in account.active:
        trades, quantity, cost = sums.get(lot.order.symbol, (0, 0, 0))
        signed = lot.order.side * lot.order.quantity
        sums[lot.order.symbol] = (trades + 1, quantity + signed, cost + signed * lot.entry)
    return sums
