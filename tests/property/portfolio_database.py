"""The documents of the portfolios, read without the application's models."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.domain.side import TradeType
from app.extensions import mongo
from tests.property.portfolio_model import Account, Event, Lot, Season, user_of
from tests.support.emptying import empty_database

SIDES = {TradeType.BUY.value: 1, TradeType.SELL.value: -1}
EXITS = ("trade_exited", "trade_auto_closed")
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
    empty_database(mongo.db, keep=["schema"])


@dataclass(frozen=True)
class Snapshot:
    """The documents of one account; trades and events in the order of their numbers.

    The events, and `all_trades`, are those of its user.
    """

    inbox: dict[str, Any]
    portfolio: dict[str, Any]
    trades: list[dict[str, Any]]
    all_trades: list[dict[str, Any]]
    events: list[dict[str, Any]]

    @classmethod
    def of_each(cls, accounts: Collection[str]) -> dict[str, Snapshot]:
        """Read every collection once, for all accounts."""
        inboxes = {each["_id"]: each for each in _read("inboxes")}
        portfolios = {_account(each["user_id"], each["name"]): each for each in _read("portfolios")}
        trades = sorted(_read("trades"), key=_number)
        events = sorted(_read("notifications", "user_id", "seq", "type", "data"), key=_seq)
        users = {user_of(account) for account in accounts}
        assert {each["user_id"] for each in trades + events} <= users
        assert all(_is_in(trade, portfolios[_account_of(trade)]) for trade in trades)
        return {
            account: cls(
                inboxes[user_of(account)],
                portfolios[account],
                [trade for trade in trades if _account_of(trade) == account],
                [trade for trade in trades if trade["user_id"] == user_of(account)],
                [event for event in events if event["user_id"] == user_of(account)],
            )
            for account in accounts
        }


def assert_invariants(found: Snapshot) -> None:
    """Check the invariants of the design on the documents alone."""
    portfolio, trades, events = found.portfolio, found.trades, found.events
    active = [trade for trade in trades if trade["status"] == "ACTIVE"]
    season = [trade for trade in trades if trade["number"] > portfolio["season_start"]]
    closed = [trade for trade in season if trade["status"] != "ACTIVE"]
    margin = portfolio["available_margin"] + portfolio["utilized_margin"]
    moved = portfolio["deposits"] - portfolio["withdrawals"]
    assert margin == portfolio["initial_margin"] + moved + portfolio["total_pnl"]
    assert all(trade in season for trade in active), "a trade outlived its season"
    assert portfolio["utilized_margin"] == sum(each["margin_used"] for each in active)
    assert portfolio["total_pnl"] == sum(each["pnl"] for each in closed)
    assert (portfolio["trade_count"], portfolio["closed_count"]) == (len(trades), len(closed))
    assert portfolio["winner_count"] == sum(each["pnl"] > 0 for each in closed)

    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert found.inbox["event_seq"] == found.inbox["unread_count"] == len(events)
    exits = [event["data"]["trade_id"] for event in events if event["type"] in EXITS]
    ended = [trade for trade in found.all_trades if trade["status"] != "ACTIVE"]
    assert sorted(exits) == sorted(str(each["_id"]) for each in ended), "not one exit for each"


def assert_agreement(found: Snapshot, account: Account) -> None:
    """Check that the database and the model agree to the paisa."""
    amounts = ("initial_margin", "deposits", "withdrawals")
    sums = ("available_margin", "utilized_margin", "total_pnl")
    assert [paise(found.portfolio[name]) for name in (*amounts, *sums)] == [
        account.initial,
        account.deposits,
        account.withdrawals,
        account.available,
        account.utilized,
        account.total_pnl,
    ]
    assert [_recorded(trade) for trade in found.trades] == [_expected(lot) for lot in account.lots]
    assert found.portfolio["season"] == account.season
    assert [_season(season) for season in found.portfolio["seasons"]] == account.seasons
    # In which order one pass closes trades of several portfolios is not promised.
    own = _account(found.portfolio["user_id"], found.portfolio["name"])
    assert [event for event in _events(found) if event.account == own] == account.events
    assert _exposure(found.portfolio) == _expected_exposure(account)


def _read(collection: str, *fields: str) -> list[dict[str, Any]]:
    assert mongo.db is not None
    return list(mongo.db[collection].find({}, fields or None))


def _account(user: str, portfolio: str) -> str:
    return user if portfolio == "default" else f"{user}/{portfolio}"


def _account_of(document: dict[str, Any]) -> str:
    return _account(document["user_id"], document["portfolio"])


def _is_in(trade: dict[str, Any], portfolio: dict[str, Any]) -> bool:
    return bool(trade["portfolio_id"] == portfolio["_id"])


def _season(season: dict[str, Any]) -> Season:
    money = ("initial_margin", "deposits", "withdrawals", "total_pnl")
    initial, deposits, withdrawals, total_pnl = (paise(season[name]) or 0 for name in money)
    first, end = season["first_number"] - 1, season["last_number"]
    return Season(season["number"], initial, deposits, withdrawals, total_pnl, first, end)


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
    trades = {str(trade["_id"]): trade for trade in found.all_trades}
    return [_event(event, trades) for event in found.events]


def _event(event: dict[str, Any], trades: dict[str, dict[str, Any]]) -> Event:
    data = event["data"]
    if "trade_id" in data:
        trade = trades[data["trade_id"]]
        amounts = paise(data.get("pnl")), paise(data.get("exit_price"))
        return Event(event["type"], _account_of(trade), trade["number"], *amounts)
    account = _account(event["user_id"], data["portfolio"])
    moved = data["ended"]["balance"] if "ended" in data else data["amount"]
    return Event(event["type"], account, 0, paise(moved), paise(data["available_margin"]))


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
