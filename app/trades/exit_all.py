"""Exiting all trades of a portfolio, or those of a symbol, and cancelling orders with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.database.batches import all_written, write_in_batches
from app.domain.errors import ResultUnconfirmed
from app.domain.money import ZERO
from app.domain.portfolio import DEFAULT_NAME
from app.domain.share import ALL, Share
from app.domain.trade import EndReason, TradeStatus, end_entry
from app.models import IdempotencyKey, IdempotencyRecord, TradeChange
from app.models.open_trades import find_open, find_open_of
from app.portfolio.service import find_portfolio
from app.services import market_time, now, services
from app.trades.execution import apply_batch, name_change
from app.trades.exit_prices import price_exits

# Each try writes what another change of the same trades kept the last one from writing.
MAX_TRIES = 5
Write = Callable[[Sequence[TradeChange]], Sequence[TradeChange]]


@dataclass(frozen=True, slots=True)
class Selection:
    """The trades to exit: of a portfolio, of one symbol if given, and which share of each.

    With `include_pending`, orders that wait are cancelled.
    """

    portfolio: str = DEFAULT_NAME
    symbol: str | None = None
    share: Share = ALL
    include_pending: bool = False
    at_last_price: bool = False


@dataclass(frozen=True, slots=True)
class ExitedAll:
    """The number of exited trades and their P&L in rupees.

    `not_exited` are the trades that could not exit, `cancelled` counts the orders.
    """

    count: int
    total_pnl: Decimal
    not_exited: list[Document] = field(default_factory=list)
    cancelled: int = 0


def exit_all(
    user_id: str, selection: Selection | None = None, key: IdempotencyKey | None = None
) -> ExitedAll:
    """Exit those of the selected trades that have a price; return the others as well.

    With a `key` they are the trades that were open at its first request, and a retry continues an
    interrupted one: each trade is exited once. Raises MarketClosed outside market hours, NotFound
    for an unknown portfolio, InvalidRequest for an unknown symbol, Conflict for a key of another
    request.
    """
    selection = selection or Selection()
    if key is None:
        services().calendar.require_trading(market_time())
        done, others = _work_off(user_id, _select(user_id, selection), selection, _write)
        exits = [item for item in done if item.exit]
        return ExitedAll(len(exits), _total_pnl(exits), others, len(done) - len(exits))
    record = IdempotencyRecord.find(key) or _begin(user_id, selection, key)
    if not record["done"]:
        _continue(key, record, selection)
        record = IdempotencyRecord.find(key) or record
    return ExitedAll(
        record["count"],
        record["total_pnl"],
        record.get("not_exited", []),
        record.get("cancelled", 0),
    )


def _select(user_id: str, selection: Selection) -> list[ObjectId]:
    portfolio = find_portfolio(user_id, selection.portfolio)
    if portfolio is None:
        return []
    name = selection.symbol
    symbol = services().instruments.get_ordered(name).symbol if name else None
    return [
        trade.id
        for trade in find_open(user_id, portfolio.id)
        if symbol in (None, trade.symbol)
        and (selection.include_pending or trade.status is TradeStatus.ACTIVE)
    ]


def _begin(user_id: str, selection: Selection, key: IdempotencyKey) -> Document:
    services().calendar.require_trading(market_time())
    record: Document = {
        "trade_ids": _select(user_id, selection),
        "count": 0,
        "total_pnl": ZERO,
        "done": False,
    }
    try:
        IdempotencyRecord.save(key, record, now())
    except DuplicateKeyError:
        if earlier := IdempotencyRecord.find(key):
            return earlier
        raise ResultUnconfirmed from None
    return record


def _write(items: Sequence[TradeChange]) -> Sequence[TradeChange]:
    apply_batch(items)
    return items


def _continue(key: IdempotencyKey, record: Document, selection: Selection) -> None:
    def write_and_count(items: Sequence[TradeChange]) -> Sequence[TradeChange]:
        exits = [item for item in items if item.exit]
        amounts = {
            "count": len(exits),
            "total_pnl": _total_pnl(exits),
            "cancelled": len(items) - len(exits),
        }
        ids = [item.trade.id for item in items]
        apply_batch(items, lambda _: IdempotencyRecord.add(key, amounts, {"written": ids}))
        return items

    written = record.get("written", ())
    left = [trade_id for trade_id in record["trade_ids"] if trade_id not in written]
    others: list[Document] = []
    if find_open_of(dict.fromkeys(left, key.user_id)):
        # The rest of an interrupted request waits for the next opening as well.
        services().calendar.require_trading(market_time())
        _, others = _work_off(key.user_id, left, selection, write_and_count)
    IdempotencyRecord.finish(key, {"not_exited": others})


def _work_off(
    user_id: str, trade_ids: Sequence[ObjectId], selection: Selection, write: Write
) -> tuple[list[TradeChange], list[Document]]:
    """Exit or cancel the trades; return what was written, and the trades that could not exit.

    One that is changed at the same time, and still open, is tried again.
    """
    done: list[TradeChange] = []
    left = list(trade_ids)
    for _ in range(MAX_TRIES):
        trades = find_open_of(dict.fromkeys(left, user_id))
        pending = [trade for trade in trades if trade.status is TradeStatus.PENDING]
        active = [trade for trade in trades if trade.status is TradeStatus.ACTIVE]
        exits, others = price_exits(active, selection.share, at_last_price=selection.at_last_price)
        cancels = [TradeChange(trade, end_entry(trade, EndReason.USER)) for trade in pending]
        # A conflict costs no other user, so each batch is retried as long as any transaction.
        parts = [[*cancels, *exits]]
        results = write_in_batches(parts, write, name_change, conflict_seconds=inf)
        written = all_written(results)
        done += written
        finished = {item.trade.id for item in written} | {
            ObjectId(each["trade_id"]) for each in others
        }
        left = [trade.id for trade in trades if trade.id not in finished]
        if not left:
            return done, others
    raise ResultUnconfirmed


def _total_pnl(exits: Sequence[TradeChange]) -> Decimal:
    return sum((item.exit.pnl for item in exits if item.exit), ZERO)
