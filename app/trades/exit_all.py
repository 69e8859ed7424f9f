"""Exiting all trades of a portfolio, or those of a symbol, and cancelling orders with them.

Outside market hours the exits wait, as that of one trade does. Orders are cancelled at any hour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.database.batches import all_written, write_in_batches
from app.domain.errors import PaperTradingError, ResultUnconfirmed
from app.domain.money import ZERO
from app.domain.portfolio import DEFAULT_NAME
from app.domain.share import ALL, Share
from app.domain.trade import Ended, EndReason, TradeStatus, end_entry
from app.models import IdempotencyKey, IdempotencyRecord, Trade, TradeChange
from app.models.open_trades import find_open, find_open_of
from app.portfolio.service import find_portfolio
from app.services import market_time, now, services
from app.trades.execution import apply_batch, name_change
from app.trades.exit_prices import name_refusal, price_exits
from app.trades.queued_exits import may_queue, queue_exit, queued_exit

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

    `not_exited` are the trades that could not exit, `queued` those whose exit waits for a session,
    `cancelled` counts the orders.
    """

    count: int
    total_pnl: Decimal
    not_exited: list[Document] = field(default_factory=list)
    cancelled: int = 0
    queued: list[Document] = field(default_factory=list)


def exit_all(
    user_id: str, selection: Selection | None = None, key: IdempotencyKey | None = None
) -> ExitedAll:
    """Exit those of the selected trades that have a price; return the others as well.

    With a `key` they are the trades that were open at its first request, and a retry continues an
    interrupted one: each trade is exited once. Outside market hours each exit waits for the next
    session. If the server refuses that, the trades are among those that could not exit, or it
    raises MarketClosed if no orders are to be cancelled. Raises NotFound for an unknown portfolio,
    InvalidRequest for an unknown symbol, Conflict for a key of another request.
    """
    selection = selection or Selection()
    if key is None:
        _require_possible(selection)
        done, others = _work_off(user_id, _select(user_id, selection), selection, _write)
        return ExitedAll(**_amounts(done), not_exited=others, queued=_queued(done))
    record = IdempotencyRecord.find(key) or _begin(user_id, selection, key)
    if not record["done"]:
        _continue(key, record, selection)
        record = IdempotencyRecord.find(key) or record
    return ExitedAll(
        record["count"],
        record["total_pnl"],
        record.get("not_exited", []),
        record.get("cancelled", 0),
        record.get("queued", []),
    )


def _require_possible(selection: Selection) -> None:
    """Raise MarketClosed if every exit is refused at this hour, and no order is to be cancelled."""
    if services().settings.orders_outside_hours != "queue" and not selection.include_pending:
        services().calendar.require_trading(market_time())


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
    _require_possible(selection)
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
        lists: dict[str, list[Any]] = {
            "written": [item.trade.id for item in items],
            "queued": _queued(items),
        }
        apply_batch(items, lambda _: IdempotencyRecord.add(key, _amounts(items), lists))
        return items

    written = record.get("written", ())
    left = [trade_id for trade_id in record["trade_ids"] if trade_id not in written]
    others: list[Document] = []
    if find_open_of(dict.fromkeys(left, key.user_id)):
        # The rest of an interrupted request may have to wait for the next opening as well.
        _require_possible(selection)
        _, others = _work_off(key.user_id, left, selection, write_and_count)
    IdempotencyRecord.finish(key, {"not_exited": others})


def _work_off(
    user_id: str, trade_ids: Sequence[ObjectId], selection: Selection, write: Write
) -> tuple[list[TradeChange], list[Document]]:
    """Exit, queue or cancel the trades; return what was written, and those that could not exit.

    One that is changed at the same time, and still open, is tried again.
    """
    done: list[TradeChange] = []
    others: list[Document] = []
    left = list(trade_ids)
    for _ in range(MAX_TRIES):
        trades = find_open_of(dict.fromkeys(left, user_id))
        changes, unable = _plan(trades, selection)
        others += unable
        # A conflict costs no other user, so each batch is retried as long as any transaction.
        results = write_in_batches([changes], write, name_change, conflict_seconds=inf)
        written = all_written(results)
        done += written
        finished = {item.trade.id for item in written} | {
            ObjectId(each["trade_id"]) for each in unable
        }
        left = [trade.id for trade in trades if trade.id not in finished]
        if not left:
            return done, others
    raise ResultUnconfirmed


def _plan(
    trades: Sequence[Trade], selection: Selection
) -> tuple[list[TradeChange], list[Document]]:
    """Return the end of each order and the exit of each trade, and the trades that cannot exit."""
    changes: list[TradeChange] = []
    unable: list[Document] = []
    priced: list[Trade] = []
    for trade in trades:
        if trade.status is TradeStatus.PENDING:
            changes.append(TradeChange(trade, end_entry(trade, EndReason.USER)))
            continue
        try:
            if may_queue(trade.symbol):
                changes.append(queue_exit(trade, selection.share))
            else:
                priced.append(trade)
        except PaperTradingError as error:
            unable.append(name_refusal(trade, error))
    exits, others = price_exits(priced, selection.share, at_last_price=selection.at_last_price)
    return [*changes, *exits], [*unable, *others]


def _amounts(items: Sequence[TradeChange]) -> dict[str, Any]:
    """Return the numbers of an ExitedAll."""
    exits = [item.exit for item in items if item.exit]
    ended = [item for item in items if isinstance(item.transition.change, Ended)]
    total = sum((exit.pnl for exit in exits), ZERO)
    return {"count": len(exits), "total_pnl": total, "cancelled": len(ended)}


def _queued(items: Sequence[TradeChange]) -> list[Document]:
    exits = [(item.trade, queued) for item in items if (queued := queued_exit(item))]
    return [
        {
            "trade_id": str(trade.id),
            "symbol": trade.symbol,
            "quantity": queued.quantity,
            "queued_for": queued.session.isoformat(),
        }
        for trade, queued in exits
    ]
