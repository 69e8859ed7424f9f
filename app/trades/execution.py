"""Closing trades: here a stop-loss or a target fires.

`find_triggered` finds the trades that ticks close, `find_missed` the trades that candles close.
`close_trades` closes them in batches: one transaction claims the trades of a batch, releases their
margin, books their P&L and records their events.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial

from bson import ObjectId

from app.database.batches import BatchResult, ClaimLost, Fence, write_in_batches
from app.database.transactions import run_transaction
from app.domain.position import Position
from app.domain.quote import Quote
from app.domain.trade import Transition, on_candle, on_quote
from app.domain.triggers import CandlesAfter, SettledFrom, triggered_by, triggered_in
from app.events import publish_events, record_events
from app.models import Notification, Portfolio, PortfolioDelta, Trade, TradeExit
from app.services import now
from app.trades.events import trade_closed


def find_triggered(ticks: Sequence[Quote], deciding: Collection[Quote] = ()) -> list[TradeExit]:
    """Return the exit of every trade whose stop-loss or target one of `ticks` reached.

    A trade exits at the first tick that reaches it. The `deciding` ticks are the first after a
    time without prices: their exits are marked as settled from a quote.
    """

    def react(trade: Trade, tick: Quote) -> Transition | None:
        return on_quote(trade, tick, SettledFrom.QUOTE if tick in deciding else None)

    triggered = triggered_by(ticks, Trade.find_triggered, react)
    return [TradeExit(trade, transition) for trade, transition in triggered]


def find_missed(
    symbols: Iterable[str], candles_after: CandlesAfter, since: datetime
) -> list[TradeExit]:
    """Return the exit of every trade whose stop-loss or target was reached after `since`."""
    missed = triggered_in(
        symbols,
        candles_after,
        since,
        find=Trade.find_triggered,
        began=lambda trade: trade.bracket.entry_timestamp,
        react=on_candle,
    )
    return [TradeExit(trade, transition) for trade, transition in missed]


def close_trades(
    exits: Sequence[TradeExit], fence: Fence | None = None
) -> Iterator[BatchResult[TradeExit]]:
    """Close those of the trades that are still active, in batches; yield each result.

    Raises LeaseLost if the `fence` does.
    """
    return write_in_batches(exits, partial(close_batch, fence=fence), name_exit)


def close_batch(
    exits: Sequence[TradeExit],
    also: Callable[[datetime], object] | None = None,
    fence: Fence | None = None,
) -> None:
    """Close trades in one transaction, and publish their events.

    The transaction also does `also(now)`. Raises ClaimLost if a trade is no longer active, and
    LeaseLost if the `fence` does.
    """
    deltas: dict[ObjectId, PortfolioDelta] = {}
    for trade, exit in ((item.trade, item.exit) for item in exits):
        closed = Position.of(trade.bracket)
        delta = deltas.setdefault(trade.portfolio_id, PortfolioDelta(trade.user_id))
        delta.add(trade.symbol, closed, trade.margin_used, exit.pnl)

    def write() -> list[Notification]:
        time = now()
        if also is not None:
            also(time)
        if Trade.close_many(exits, time) < len(exits):
            raise ClaimLost
        if Portfolio.settle_many(deltas, time) != len(deltas):
            raise RuntimeError("a portfolio vanished while its trades were being closed")
        events = record_events([trade_closed(item.trade, item.exit) for item in exits], time)
        if fence is not None:
            fence({item.trade.symbol for item in exits})
        return events

    user_ids = {delta.user_id for delta in deltas.values()}
    events = run_transaction(write, already_committed=Notification.are_written, user_ids=user_ids)
    publish_events(events)


def name_exit(exit: TradeExit) -> str:
    """Return the name of this exit in a log."""
    return f"the exit of trade {exit.trade.id}"
