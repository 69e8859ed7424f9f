"""Exiting trades because their user says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from bson import ObjectId
from bson.errors import InvalidId
from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.database.batches import ClaimLost, all_written, write_in_batches
from app.domain.bracket import Exit, TradeStatus
from app.domain.errors import NotFound, TradeNotActive
from app.domain.money import ZERO
from app.models import IdempotencyKey, IdempotencyRecord, Notification, Trade, TradeExit
from app.services import now, services
from app.trades.execution import close_trades, commit_exits, name_exit, write_exits
from app.trades.exit_prices import NotExited, price_exit, price_exits


@dataclass(frozen=True, slots=True)
class ExitedAll:
    """How many trades were exited, their P&L in rupees, and those that could not be."""

    count: int
    total_pnl: Decimal
    not_exited: list[Document]


def exit_trade(
    user_id: str, trade_id: str, key: IdempotencyKey | None = None, *, at_last_price: bool = False
) -> Exit:
    """Close the user's trade at the last traded price; for a retry of `key`, return its exit again.

    With `at_last_price`, a share that no source has had a price of for a trading day is exited at
    the last known one. Raises NotFound for an unknown trade or another user's, TradeNotActive for
    one that was closed before, Conflict for a key of another request, MarketClosed outside market
    hours, MarketDataUnavailable, LastPriceTooEarly.
    """
    if not (exit := _exited_earlier(user_id, trade_id, key)):
        trade = find_own_trade(user_id, trade_id)
        if trade.status is TradeStatus.ACTIVE:
            services().calendar.require_trading(now())
            closure = price_exit(trade, at_last_price=at_last_price)
            if _close(closure, key):
                return closure.exit
            trade = find_own_trade(user_id, trade_id)
        # Closed meanwhile: by this very request at the same time, or by something else.
        exit = _exited_earlier(user_id, trade_id, key)
        if exit is None:
            raise TradeNotActive(trade.status.value, trade.exit.pnl if trade.exit else None)
    return exit


def exit_all(
    user_id: str, key: IdempotencyKey | None = None, *, at_last_price: bool = False
) -> ExitedAll:
    """Close those of the user's active trades that have a price; return also which have none.

    With a `key` they are those that were active when it came first, and a retry continues where
    that one was interrupted. `at_last_price` is as in `exit_trade`. Raises MarketClosed outside
    market hours, Conflict for a key of another request.
    """
    if key is None:
        services().calendar.require_trading(now())
        active = Trade.find_active_by_user_id(user_id)
        exits, others = price_exits(active, at_last_price=at_last_price)
        closed = all_written(close_trades(exits))
        return ExitedAll(len(closed), _total_pnl(closed), _as_documents(others))
    answer = IdempotencyRecord.find(key) or _begin_exit_all(user_id, key)
    if not answer["done"]:
        _continue_exiting(key, answer["trade_ids"], at_last_price)
        answer = IdempotencyRecord.find(key) or answer
    return ExitedAll(answer["count"], answer["total_pnl"], answer.get("not_exited", []))


def find_own_trade(user_id: str, trade_id: str) -> Trade:
    """Return the user's trade; raise NotFound for an unknown one or another user's."""
    try:
        trade = Trade.find_by_id(ObjectId(trade_id))
    except InvalidId:
        trade = None
    if trade is None or trade.user_id != user_id:
        raise NotFound("You have no trade with this id.", code="trade_not_found")
    return trade


def _exited_earlier(user_id: str, trade_id: str, key: IdempotencyKey | None) -> Exit | None:
    if key is None or IdempotencyRecord.find(key) is None:
        return None
    return find_own_trade(user_id, trade_id).exit


def _close(exit: TradeExit, key: IdempotencyKey | None) -> bool:
    """Close one trade, and keep the response under `key`; return whether it was still active."""

    def write() -> list[Notification]:
        if key:
            IdempotencyRecord.save(key, {"trade_id": exit.trade.id}, now())
        return write_exits([exit])

    try:
        commit_exits([exit], write)
    except (ClaimLost, DuplicateKeyError):
        # Closed, or the key used, at the same time: by this request or by another. The record
        # of the key tells which.
        return False
    return True


def _begin_exit_all(user_id: str, key: IdempotencyKey) -> Document:
    services().calendar.require_trading(now())
    active = Trade.find_active_by_user_id(user_id)
    answer = {
        "trade_ids": [each.id for each in active],
        "count": 0,
        "total_pnl": ZERO,
        "done": False,
    }
    try:
        IdempotencyRecord.save(key, answer, now())
    except DuplicateKeyError:
        return IdempotencyRecord.find(key) or answer
    return answer


def _continue_exiting(key: IdempotencyKey, trade_ids: list[ObjectId], at_last_price: bool) -> None:
    others: list[NotExited] = []
    if active := Trade.find_active(trade_ids):
        # If the first try was interrupted, the rest waits for the next opening as well.
        services().calendar.require_trading(now())
        exits, others = price_exits(active, at_last_price=at_last_price)
        all_written(write_in_batches(exits, partial(_close_and_count, key), name_exit))
    IdempotencyRecord.finish(key, {"not_exited": _as_documents(others)})


def _close_and_count(key: IdempotencyKey, exits: Sequence[TradeExit]) -> None:
    def write() -> list[Notification]:
        IdempotencyRecord.add(key, {"count": len(exits), "total_pnl": _total_pnl(exits)})
        return write_exits(exits)

    commit_exits(exits, write)


def _as_documents(others: Sequence[NotExited]) -> list[Document]:
    return [
        {"trade_id": str(each.trade.id), "symbol": each.trade.symbol, "code": each.code}
        for each in others
    ]


def _total_pnl(closures: Sequence[TradeExit]) -> Decimal:
    return sum((each.exit.pnl for each in closures), ZERO)
