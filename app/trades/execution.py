"""Closing trades: by their user, or because a tick reached their stop-loss or target.

Trades are closed in batches. One transaction claims the trades of a batch, releases their margin,
books their P&L and records their events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from app.database.batches import BatchResult, ClaimLost, write_in_batches
from app.database.transactions import run_transaction
from app.domain.bracket import SettledFrom
from app.domain.position import Position
from app.domain.quote import Quote
from app.domain.triggers import CandlesAfter, triggered_by, triggered_in
from app.events import publish_events, record_events
from app.models import Notification, Portfolio, PortfolioDelta, Trade, TradeExit
from app.services import now
from app.trades.events import trade_closed


def find_triggered(ticks: Sequence[Quote], deciding: Collection[Quote] = ()) -> list[TradeExit]:
    """Return the exit of every trade whose stop-loss or target one of `ticks` reached.

    A trade exits at the first tick, in their order, that reaches it. The `deciding` ticks are the
    first after a time without prices: what they close says so.
    """
    triggered = triggered_by(
        ticks, Trade.find_triggered, lambda trade, tick: trade.bracket.triggered_by(tick)
    )
    return [
        TradeExit(trade, replace(exit, settled_from=SettledFrom.QUOTE))
        if exit.quote in deciding
        else TradeExit(trade, exit)
        for trade, exit in triggered
    ]


def find_missed(
    symbols: Iterable[str], candles_after: CandlesAfter, since: datetime
) -> list[TradeExit]:
    """Return the exit of every trade whose stop-loss or target was reached after `since`.

    `candles_after` returns the candles of a symbol after a time, in order.
    """
    missed = triggered_in(
        symbols,
        candles_after,
        since,
        find=Trade.find_triggered,
        began=lambda trade: trade.bracket.entry_timestamp,
        react=lambda trade, candle: trade.bracket.triggered_in(candle),
    )
    return [TradeExit(trade, exit) for trade, exit in missed]


def close_trades(exits: Sequence[TradeExit]) -> Iterator[BatchResult[TradeExit]]:
    """Close those of the trades that are still active, in batches; yield each result."""
    return write_in_batches(exits, close_batch, name_exit)


def close_batch(exits: Sequence[TradeExit]) -> None:
    """Close trades in one transaction, and publish their events."""
    commit_exits(exits, lambda: write_exits(exits))


def commit_exits(exits: Sequence[TradeExit], work: Callable[[], list[Notification]]) -> None:
    """Run `work`, which writes these exits, in one transaction; publish the events it returns."""
    events = run_transaction(
        work,
        already_committed=Notification.are_written,
        user_ids={each.trade.user_id for each in exits},
    )
    publish_events(events)


def write_exits(exits: Sequence[TradeExit]) -> list[Notification]:
    """Close trades within the current transaction; return their events.

    Raises ClaimLost if one of them is not active any more.
    """
    time = now()
    deltas: dict[str, PortfolioDelta] = defaultdict(PortfolioDelta)
    for each in exits:
        trade = each.trade
        deltas[trade.user_id].add(
            trade.symbol, Position.of(trade.bracket), trade.margin_used, each.exit.pnl
        )
    if Trade.close_many(exits, time) < len(exits):
        raise ClaimLost
    if Portfolio.settle_many(deltas, time) != len(deltas):
        raise RuntimeError("a portfolio vanished while its trades were being closed")
    return record_events([trade_closed(each.trade, each.exit) for each in exits], time)


def name_exit(exit: TradeExit) -> str:
    """Return what a log calls this exit."""
    return f"the exit of trade {exit.trade.id}"
