"""Triggers: what ticks or candles set off, each at the first price that reaches it.

Trades wait for a stop-loss or a target, alerts for a level. One query by symbol and price range
finds the candidates; a pure function then decides about each, tick by tick.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from app.domain.candle import Candle
from app.domain.quote import Quote


class SettledFrom(StrEnum):
    """Which price set off an exit or an alert, if not the tick that reached it."""

    # A candle of a period without ticks.
    GAP = "gap"
    # The first quote after a period that has neither ticks nor candles.
    QUOTE = "quote"
    # The last known price of a share that no source has had a price of for a trading day.
    LAST_PRICE = "last_price"


class Waiting(Protocol):
    """A trade or an alert. If one tick sets off several, the lower id comes first."""

    @property
    def id(self) -> Any: ...


W = TypeVar("W", bound=Waiting)
R = TypeVar("R")
T = TypeVar("T")
Occasion = TypeVar("Occasion")
# (symbol, lowest, highest): those of a symbol that prices in this range may set off.
Find = Callable[[str, Decimal, Decimal], Iterable[W]]
# (symbol, time): the candles of a symbol after a time, in order.
CandlesAfter = Callable[[str, datetime], Sequence[Candle]]


def ends(_waiting: W, _reaction: R) -> W | None:
    """Return what waits after a reaction: nothing, as of an alert."""
    return None


def triggered_by(
    ticks: Sequence[Quote],
    find: Find[W],
    react: Callable[[W, Quote], R | None],
    advance: Callable[[W, R], W | None] = ends,
) -> list[tuple[W, R]]:
    """Return what `ticks` set off, each with its reaction, in the order of the ticks.

    `advance` returns what waits on after a reaction: later ticks may set that off as well.
    """
    by_symbol: dict[str, list[tuple[int, Quote]]] = defaultdict(list)
    for position, tick in enumerate(ticks):
        by_symbol[tick.symbol].append((position, tick))
    triggered: list[tuple[int, W, R]] = []
    for symbol, its_ticks in by_symbol.items():
        prices = [tick.price for _, tick in its_ticks]
        for waiting in find(symbol, min(prices), max(prices)):
            triggered += _reactions(waiting, its_ticks, react, advance)
    return [(waiting, reaction) for _, waiting, reaction in sorted(triggered, key=_order)]


def triggered_in(
    symbols: Iterable[str],
    candles_after: CandlesAfter,
    since: datetime,
    *,
    find: Find[W],
    began: Callable[[W], datetime],
    react: Callable[[W, Candle], R | None],
    advance: Callable[[W, R], W | None] = ends,
) -> list[tuple[W, R]]:
    """Return what the candles after `since` set off, each with its reaction, in order of time.

    `began` returns since when one waits; only candles after that count. `advance` is as in
    `triggered_by`, and the same candle may set off what it returns.
    """
    triggered: list[tuple[datetime, W, R]] = []
    for symbol in symbols:
        candles = candles_after(symbol, since)
        if not candles:
            continue
        lowest = min(candle.low for candle in candles)
        highest = max(candle.high for candle in candles)
        for waiting in find(symbol, lowest, highest):
            start = began(waiting)
            its_candles = candles_after(symbol, start) if start > since else candles
            times = [(candle.time, candle) for candle in its_candles]
            triggered += _reactions(waiting, times, react, advance, is_span=True)
    return [(waiting, reaction) for _, waiting, reaction in sorted(triggered, key=_order)]


def _reactions(
    waiting: W,
    occasions: Iterable[tuple[T, Occasion]],
    react: Callable[[W, Occasion], R | None],
    advance: Callable[[W, R], W | None],
    *,
    is_span: bool = False,
) -> Iterator[tuple[T, W, R]]:
    """Yield each reaction to the occasions: one to a tick, several to the span of a candle."""
    current: W | None = waiting
    for when, occasion in occasions:
        while current is not None and (reaction := react(current, occasion)) is not None:
            yield when, current, reaction
            current = advance(current, reaction)
            if not is_span:
                break
        if current is None:
            return


def _order(triggered: tuple[Any, Waiting, object]) -> tuple[Any, Any]:
    return triggered[0], triggered[1].id
