"""Closing trades: by their user, or by a tick that reached their stop-loss or target.

Both go the same way: trades are closed in chunks, each one transaction that claims the trades,
releases their margin with the P&L, and writes their events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from pymongo.client_session import ClientSession

from app.database.batches import BatchResult, ClaimLost, write_claimed, write_in_batches
from app.database.patience import read_patiently
from app.domain.bracket import SettledFrom
from app.domain.position import Position
from app.domain.quote import Quote
from app.domain.triggers import CandlesAfter, triggered_by, triggered_in
from app.events import publish_events, record_events
from app.models import Notification, Portfolio, PortfolioDelta, Trade, TradeExit
from app.services import now
from app.trades.events import trade_closed


def close_triggered(
    ticks: Sequence[Quote],
    found_all: Callable[[str], object] = lambda symbol: None,
    meanwhile: Callable[[], object] = lambda: None,
    deciding: Collection[Quote] = (),
) -> int:
    """Close every trade whose stop-loss or target one of `ticks` reached; return how many.

    A trade closes at the first tick, in their order, that reaches it. `found_all` is told each
    symbol of which all such trades have been found, maybe more than once, before any is closed.
    Between two chunks of closures `meanwhile` is called. Those of the ticks that are `deciding`
    are the first after a time without prices; what they close says so.

    Raises PyMongoError where some could not be closed: the same ticks can then be settled again.
    """
    triggered = read_patiently(
        lambda: triggered_by(
            ticks,
            Trade.find_triggered,
            lambda trade, tick: trade.bracket.triggered_by(tick),
            found_all,
        )
    )
    closures = [
        TradeExit(trade, replace(exit, settled_from=SettledFrom.QUOTE))
        if exit.quote in deciding
        else TradeExit(trade, exit)
        for trade, exit in triggered
    ]
    return _settle(closures, meanwhile)


def close_missed(symbols: Iterable[str], candles_after: CandlesAfter, since: datetime) -> int:
    """Close every trade whose stop-loss or target was reached after `since`; return how many.

    `candles_after` tells what a symbol did after a time, while nobody watched, in order. Raises
    PyMongoError where some could not be closed.
    """
    missed = triggered_in(
        symbols,
        candles_after,
        since,
        find=Trade.find_triggered,
        began=lambda trade: trade.bracket.entry_timestamp,
        react=lambda trade, candle: trade.bracket.triggered_in(candle),
    )
    return _settle([TradeExit(trade, exit) for trade, exit in missed])


# What else is written in the transaction that closes some trades.
Also = Callable[[Sequence[TradeExit], ClientSession], None]


def close_trades(closures: Sequence[TradeExit], also: Also | None = None) -> list[TradeExit]:
    """Close those of the trades that are still active; return these.

    `also` writes more in the transaction of each chunk that closed any. Raises what kept a
    trade from being closed, after all that could be closed was.
    """
    outcome = _close_in_chunks(closures, also)
    if error := outcome.outage or outcome.fault:
        raise error
    return outcome.written


def _settle(closures: Sequence[TradeExit], meanwhile: Callable[[], object] = lambda: None) -> int:
    """Close trades for their users; raise PyMongoError where the database was away."""
    outcome = _close_in_chunks(closures, None, meanwhile)
    if outcome.outage:
        raise outcome.outage
    return len(outcome.written)


def _close_in_chunks(
    closures: Sequence[TradeExit], also: Also | None, meanwhile: Callable[[], object] = lambda: None
) -> BatchResult[TradeExit]:
    return write_in_batches(
        closures,
        lambda chunk: _close_chunk(chunk, also),
        lambda closure: f"the exit of trade {closure.trade.id}",
        meanwhile,
    )


def _close_chunk(closures: Sequence[TradeExit], also: Also | None) -> list[TradeExit]:
    def close(claimed: Sequence[TradeExit], session: ClientSession) -> list[Notification]:
        if also is not None:
            also(claimed, session)
        return _close(claimed, session)

    owners = {each.trade.user_id for each in closures}
    claimed, events = write_claimed(
        closures, close, _still_active, already_committed=Notification.are_written, user_ids=owners
    )
    publish_events(events)
    return list(claimed)


def _still_active(closures: Sequence[TradeExit]) -> list[TradeExit]:
    active = Trade.find_still_active([each.trade.id for each in closures])
    return [each for each in closures if each.trade.id in active]


def _close(closures: Sequence[TradeExit], session: ClientSession) -> list[Notification]:
    time = now()
    settlements: dict[str, PortfolioDelta] = defaultdict(PortfolioDelta)
    for each in closures:
        settlements[each.trade.user_id].add(
            each.trade.symbol,
            Position.of(each.trade.bracket),
            each.trade.margin_used,
            each.exit.pnl,
        )
    if Trade.close_many(closures, time, session) < len(closures):
        raise ClaimLost
    if Portfolio.settle_many(settlements, time, session) != len(settlements):
        raise RuntimeError("a portfolio vanished while its trades were being closed")
    drafts = [trade_closed(each.trade, each.exit) for each in closures]
    return record_events(drafts, time, session)
