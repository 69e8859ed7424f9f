"""Triggers: what a run of ticks or candles sets off, each at the first that reaches it.

Trades wait for the price of a stop-loss or a target, alerts for the price of a level. What is
kept of them is asked by symbol and range of prices, once; what each tick then means to one of
them, it tells itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from app.domain.candle import Candle
from app.domain.quote import Quote


class Waiting(Protocol):
    """What waits for a price. Of those that one tick sets off, the lower id comes first."""

    @property
    def id(self) -> Any: ...


W = TypeVar("W", bound=Waiting)
R = TypeVar("R")
# Those of a symbol that prices from the lowest to the highest may set off.
Find = Callable[[str, Decimal, Decimal], Iterable[W]]
# What a symbol did after a time, in order.
CandlesAfter = Callable[[str, datetime], Sequence[Candle]]


def triggered_by(
    ticks: Sequence[Quote],
    find: Find[W],
    react: Callable[[W, Quote], R | None],
) -> list[tuple[W, R]]:
    """Return what `ticks` set off, each with its reaction to the first tick it reacts to.

    In the order of the ticks.
    """
    by_symbol: dict[str, list[tuple[int, Quote]]] = defaultdict(list)
    for position, tick in enumerate(ticks):
        by_symbol[tick.symbol].append((position, tick))
    found: list[tuple[int, W, R]] = []
    for symbol, its_ticks in by_symbol.items():
        prices = [tick.price for _, tick in its_ticks]
        for each in find(symbol, min(prices), max(prices)):
            reactions = ((position, react(each, tick)) for position, tick in its_ticks)
            found += _first(each, reactions)
    return [(each, reaction) for _, each, reaction in sorted(found, key=_place)]


def triggered_in(
    symbols: Iterable[str],
    candles_after: CandlesAfter,
    since: datetime,
    *,
    find: Find[W],
    began: Callable[[W], datetime],
    react: Callable[[W, Candle], R | None],
) -> list[tuple[W, R]]:
    """Return what the candles after `since` set off, each with its first reaction.

    In the order of time. Of the candle in which one `began` to wait, only what came after that
    counts.
    """
    found: list[tuple[datetime, W, R]] = []
    for symbol in symbols:
        candles = candles_after(symbol, since)
        if not candles:
            continue
        lowest = min(candle.low for candle in candles)
        highest = max(candle.high for candle in candles)
        for each in find(symbol, lowest, highest):
            start = began(each)
            its_candles = candles_after(symbol, start) if start > since else candles
            found += _first(each, ((candle.time, react(each, candle)) for candle in its_candles))
    return [(each, reaction) for _, each, reaction in sorted(found, key=_place)]


T = TypeVar("T")


def _first(each: W, reactions: Iterable[tuple[T, R | None]]) -> list[tuple[T, W, R]]:
    for when, reaction in reactions:
        if reaction is not None:
            return [(when, each, reaction)]
    return []


def _place(found: tuple[Any, Waiting, object]) -> tuple[Any, Any]:
    return found[0], found[1].id
