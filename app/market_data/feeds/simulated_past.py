"""The past of a simulated instrument: what its chart shows of the time before it was asked for.

The past is a tree. A day consists of hours, an hour of quarters, a quarter of three times five
minutes, five minutes of minutes. A walk from day to day goes back from the first live price, and
each span's parts are drawn when they are asked for: a random walk from its open to its close,
stretched so that it just reaches its high and its low. So a year of days costs 365 draws, not
3 million steps, and yet the candles of every interval agree exactly.

Everything depends on the key alone, which names seed and symbol, and nothing is kept.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

# The standard deviation of a minute's return: that of six steps of 10 s (see simulated.py).
MINUTE_VOLATILITY = 0.0002 * math.sqrt(6)
# So far back the past goes. A walk longer than that ends anywhere.
PAST_DAYS = 3_650
DAY = 1_440
# The length of a span's parts, by its own; in minutes.
_PART = {DAY: 60, 60: 15, 15: 5, 5: 1}
# A smaller draw would leave an extreme at an end of its walk, lost in the last bit.
_LEAST_DRAW = 1e-9


class LogBar(NamedTuple):
    """First, highest, lowest and last logarithm of the price in the time from `minute`."""

    minute: int
    open: float
    high: float
    low: float
    close: float


class Past:
    def __init__(self, key: str, log_price: float, end: int) -> None:
        """Be the past of a walk that begins at `log_price` in the minute `end`."""
        self._key = key
        self._end = end
        self._origin = end // DAY * DAY
        # Logarithms are counted from the open of the last day, whatever the price.
        self._shift = log_price - self._log_price_at_end()

    def spans(self, minutes: int, first: int, last: int) -> Iterator[LogBar]:
        """Yield what makes up the spans of `minutes` from `first` to before `last`, in order.

        Each is of `minutes`, but for the one that is cut off by the end: that comes in parts.
        """
        last = min(last, self._end)
        for day in self._days(first, last):
            for span in self._parts(day, DAY, minutes, first, last):
                yield LogBar(span.minute, *(each + self._shift for each in span[1:]))

    def _days(self, first: int, last: int) -> list[LogBar]:
        draw = random.Random(f"{self._key}/days")
        volatility = MINUTE_VOLATILITY * math.sqrt(DAY)
        days: list[LogBar] = []
        close = draw.gauss(0, volatility)
        open = 0.0
        earliest = max(first // DAY * DAY, self._origin - PAST_DAYS * DAY)
        for minute in range(self._origin, earliest - 1, -DAY):
            above, below = draw.random(), draw.random()
            if minute < last:
                high, low = _extremes(open, close, volatility, above, below)
                days.append(LogBar(minute, open, high, low, close))
            close, open = open, open - draw.gauss(0, volatility)
        return days[::-1]

    def _parts(
        self, span: LogBar, length: int, wanted: int, first: int, last: int
    ) -> Iterator[LogBar]:
        if span.minute >= last or span.minute + length <= first:
            return
        if length <= wanted and span.minute + length <= self._end:
            yield span
            return
        for part in self._split(span, length):
            yield from self._parts(part, _PART[length], wanted, first, last)

    def _split(self, span: LogBar, length: int) -> list[LogBar]:
        """Return the parts of a span; always the same ones."""
        draw = random.Random(f"{self._key}/{span.minute - self._origin}/{length}")
        part = _PART[length]
        volatility = MINUTE_VOLATILITY * math.sqrt(part)
        path = _path(draw, span.open, span.close, length // part, volatility)
        drawn = [
            (a, *_extremes(a, b, volatility, draw.random(), draw.random()), b)
            for a, b in pairwise(path)
        ]
        stretch = _stretch(span, max(each[1] for each in drawn), min(each[2] for each in drawn))
        return [
            LogBar(span.minute + number * part, *map(stretch, each))
            for number, each in enumerate(drawn)
        ]

    def _log_price_at_end(self) -> float:
        (span,) = self._days(self._origin, self._origin + DAY)
        length = DAY
        while span.minute < self._end:
            parts = self._split(span, length)
            length = _PART[length]
            span = parts[(self._end - span.minute) // length]
        return span.open


def _path(
    draw: random.Random, start: float, goal: float, steps: int, volatility: float
) -> list[float]:
    """Return a random walk that ends at the goal (a Brownian bridge), both ends included."""
    walk = [0.0]
    for _ in range(steps):
        walk.append(walk[-1] + draw.gauss(0, volatility))
    tilt = (goal - start - walk[-1]) / steps
    inner = [start + each + number * tilt for number, each in enumerate(walk[1:-1], start=1)]
    return [start, *inner, goal]


def _extremes(
    start: float, goal: float, volatility: float, above: float, below: float
) -> tuple[float, float]:
    """Return highest and lowest of a walk between two points, for two draws from [0, 1).

    The distribution of a Brownian bridge's maximum, inverted. They lie outside both points.
    """
    square, variance = (goal - start) ** 2, volatility**2
    rise = math.sqrt(square - 2 * variance * math.log(1 - max(above, _LEAST_DRAW)))
    fall = math.sqrt(square - 2 * variance * math.log(1 - max(below, _LEAST_DRAW)))
    middle = start + goal
    return (middle + rise) / 2, (middle - fall) / 2


def _stretch(span: LogBar, highest: float, lowest: float) -> Callable[[float], float]:
    """Return what moves the part of a path above, and below, its ends to the span's extremes.

    It keeps the order of any two points, and the ends where they are.
    """
    top, bottom = max(span.open, span.close), min(span.open, span.close)
    up = (span.high - top) / (highest - top)
    down = (bottom - span.low) / (bottom - lowest)

    def stretch(point: float) -> float:
        # The extremes themselves by name: computed, they could miss by the last bit.
        if point >= highest:
            return span.high
        if point <= lowest:
            return span.low
        if point > top:
            return min(top + (point - top) * up, span.high)
        if point < bottom:
            return max(bottom - (bottom - point) * down, span.low)
        return point

    return stretch
