"""The best prices that the trailing stops of some trades have followed, tick by tick."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bson import ObjectId

from app.domain.candle import Candle
from app.domain.quote import Quote
from app.domain.trade import Transition, on_candle, on_quote
from app.domain.trailing import Start, TrailingStop
from app.domain.triggers import SettledFrom
from app.models import Trade
from app.services import services

# (symbol, stop): the best price before the first tick, None for that of its start.
Before = Callable[[str, TrailingStop], Quote | None]


def from_start(_symbol: str, _stop: TrailingStop) -> None:
    """Return that a stop has followed no price yet."""


def best_before(trade: Trade, tick: Quote, first: Before = from_start) -> Quote | None:
    """Return the best price that the trailing stop of a trade had followed before a tick.

    `first` returns what it had followed before the ticks that are not settled yet.
    """
    stop = trade.trailing_stop
    if stop is None:
        return None
    best = first(trade.symbol, stop)
    for earlier in services().quotes.ticks(trade.symbol):
        if tick.posting and not tick.precedes(earlier.source, earlier.timestamp, earlier.posting):
            best = stop.after(best, earlier)
    return best


class BestPrices:
    def __init__(self, first: Before = from_start) -> None:
        self._first = first
        self._known: dict[tuple[ObjectId, Start], Quote | None] = {}

    def on_quote(
        self, trade: Trade, quote: Quote, settled_from: SettledFrom | None = None
    ) -> Transition | None:
        """Return what the next tick changes about the trade; its trailing stop follows the tick.

        Nothing, if the tick is in the units of the other side of a corporate action.
        """
        if not services().actions.has_same_units(trade, quote.timestamp):
            return None
        best = self._before(trade)
        transition = on_quote(trade, quote, settled_from, best=best)
        if transition is None and (stop := trade.trailing_stop):
            self._known[trade.id, stop.start] = stop.after(best, quote)
        return transition

    def on_candle(
        self, trade: Trade, candle: Candle, settled_to: datetime | None = None
    ) -> Transition | None:
        """Return what the next candle changes about the trade; its trailing stop follows it.

        `settled_to` is up to when the stop has followed ticks. Nothing, if the candle is in other
        units than the trade.
        """
        if not services().actions.has_same_units(trade, candle.time):
            return None
        best = self._before(trade)
        transition = on_candle(trade, candle, best=best, settled_to=settled_to)
        if transition is None and (stop := trade.trailing_stop):
            self._known[trade.id, stop.start] = stop.after_candle(best, candle, settled_to)
        return transition

    def _before(self, trade: Trade) -> Quote | None:
        """Return what its trailing stop has followed; None for its start, or without one."""
        stop = trade.trailing_stop
        if stop is None:
            return None
        key = trade.id, stop.start
        if key not in self._known:
            self._known[key] = self._first(trade.symbol, stop)
        return self._known[key]
