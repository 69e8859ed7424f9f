"""What prices cause: the trades that ticks and candles change, and how.

`find_triggered` looks at ticks, `find_missed` at candles. `app.trades.execution` writes what they
find.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain

from bson import ObjectId

from app.domain.candle import Candle
from app.domain.entry import Entered
from app.domain.quote import Quote
from app.domain.trade import Transition
from app.domain.triggers import CandlesAfter, SettledFrom, triggered_by, triggered_in
from app.models import Trade, TradeChange
from app.trades.best_prices import BestPrices
from app.trades.trailing import TrailingStops


def find_triggered(
    ticks: Sequence[Quote],
    deciding: Collection[Quote] = (),
    trailing: TrailingStops | None = None,
    quiet: Collection[str] = (),
) -> list[TradeChange]:
    """Return what `ticks` change, in their order: fills of entries and exits of brackets.

    A trade changes at the first tick that reaches its price; later ticks may change it again. The
    `deciding` ticks are the first after a time without prices: what they cause is marked as
    settled from a quote. Those of `quiet` symbols are between their bounds: only trailing stops are
    looked for.
    """
    bests = BestPrices(trailing.best_before) if trailing else BestPrices()
    by_symbol: dict[str, list[Quote]] = defaultdict(list)
    for tick in ticks:
        by_symbol[tick.symbol].append(tick)

    def find(symbol: str, lowest: Decimal, highest: Decimal) -> Iterator[Trade]:
        reached = () if symbol in quiet else Trade.find_triggered(symbol, lowest, highest)
        if trailing is None:
            return iter(reached)
        return _each_once(reached, trailing.find_near(symbol, by_symbol[symbol]))

    def react(trade: Trade, tick: Quote) -> Transition | None:
        return bests.on_quote(trade, tick, SettledFrom.QUOTE if tick in deciding else None)

    triggered = triggered_by(ticks, find, react, Trade.after)
    return _marked([TradeChange(trade, transition) for trade, transition in triggered], trailing)


def find_missed(
    symbols: Iterable[str],
    candles_after: CandlesAfter,
    since: datetime,
    trailing: TrailingStops | None = None,
) -> list[TradeChange]:
    """Return what the candles after `since` change, in order of time."""
    bests = BestPrices(trailing.best_before) if trailing else BestPrices()

    def find(symbol: str, lowest: Decimal, highest: Decimal) -> Iterator[Trade]:
        reached = Trade.find_triggered(symbol, lowest, highest)
        if trailing is None:
            return reached
        return _each_once(reached, trailing.find_near_candles(symbol, candles_after(symbol, since)))

    def began(trade: Trade) -> datetime:
        as_of = trailing.as_of(trade.symbol) if trailing and trade.trailing_stop else None
        return max(trade.waits_since, as_of) if as_of else trade.waits_since

    def react(trade: Trade, candle: Candle) -> Transition | None:
        return bests.on_candle(trade, candle, trailing.as_of(trade.symbol) if trailing else None)

    missed = triggered_in(
        symbols, candles_after, since, find=find, began=began, react=react, advance=Trade.after
    )
    return _marked([TradeChange(trade, transition) for trade, transition in missed], trailing)


def find_triggered_since(
    placed: Quote, trades: Sequence[Trade], candles: Sequence[Candle], ticks: Sequence[Quote]
) -> list[TradeChange]:
    """Return what the prices after `placed` change about trades that were written at it.

    The `candles` are those of a gap, and the `ticks` came after it.
    """
    bests = BestPrices()
    waiting: dict[ObjectId, Trade | None] = {trade.id: trade for trade in trades}
    missed = triggered_in(
        [placed.symbol],
        lambda _symbol, _time: candles,
        placed.timestamp,
        find=lambda _symbol, _lowest, _highest: trades,
        began=lambda _trade: placed.timestamp,
        react=bests.on_candle,
        advance=Trade.after,
    )
    for trade, transition in missed:
        waiting[trade.id] = trade.after(transition)
    left = [trade for trade in waiting.values() if trade]
    triggered = triggered_by(
        ticks, lambda _symbol, _lowest, _highest: left, bests.on_quote, Trade.after
    )
    return [TradeChange(trade, transition) for trade, transition in [*missed, *triggered]]


def _each_once(*groups: Iterable[Trade]) -> Iterator[Trade]:
    seen: set[ObjectId] = set()
    for trade in chain(*groups):
        if trade.id not in seen:
            seen.add(trade.id)
            yield trade


def _marked(changes: list[TradeChange], trailing: TrailingStops | None) -> list[TradeChange]:
    """Return the changes, after marking the symbols of which trailing stops begin."""
    if trailing is not None:
        trailing.mark({item.trade.symbol for item in changes if _begins_trailing(item)})
    return changes


def _begins_trailing(item: TradeChange) -> bool:
    change = item.transition.change
    return isinstance(change, Entered) and change.bracket.trailing is not None
