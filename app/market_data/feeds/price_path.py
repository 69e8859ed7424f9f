"""The random walk of one simulated instrument, and its invented past.

The past is what a chart shows from before the first live price. It is a tree: a day consists of
hours, an hour of quarters, a quarter of three times five minutes, and five minutes of minutes. A
walk from day to day leads back from the first live price, and the parts of a bar are drawn on
demand: a random walk from its open to its close, stretched to its high and its low. A year of
days costs 365 draws instead of 3 million steps, and the candles of all intervals agree.

Minutes are counted from midnight of 1 January 1970 in India, so every candle begins at a multiple
of its length. Prices are kept as logarithms, and rounded to the tick size on the way out.
"""

from __future__ import annotations

import math
import random
import threading
import time
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from typing import NamedTuple

from app.domain.candle import IST, Interval
from app.domain.money import to_paisa

# The standard deviation of one step's return. An index with a yearly volatility of 15 % shows it
# in 10 s: 0.15 / sqrt(252 trading days x 2,250 steps a day).
STEP_VOLATILITY = 0.0002
MINUTE_VOLATILITY = STEP_VOLATILITY * math.sqrt(6)
# Steps that a path takes before it yields to other threads: about 10 ms.
STRETCH = 5_000
# Maximum bars kept of each interval: two days of minutes, four months of hours, in 120 KB.
KEPT_BARS = 3_000
# The last steps whose prices are kept, for a process that takes over a symbol: far more than it
# takes to notice that its former worker died.
KEPT_STEPS = 64
# The length of the past. A walk over more days would end at absurd prices.
PAST_DAYS = 3_650
DAY = 1_440
# The length of a bar's parts by the length of the bar, in minutes.
_PART = {DAY: 60, 60: 15, 15: 5, 5: 1}
# With a smaller draw, rounding could put an extreme onto an end of its walk.
_MIN_DRAW = 1e-9
MINUTES = {interval: interval.length // timedelta(minutes=1) for interval in Interval}
_MIDNIGHT = datetime(1970, 1, 1, tzinfo=IST)


@dataclass(frozen=True, slots=True)
class Run:
    """A period in which the market moved, up to `last_step`.

    `zero` is the time of step 0 at the pace of this run, in seconds (see `seconds_of`).
    """

    zero: float
    step_seconds: float
    last_step: int


class Bar(NamedTuple):
    """First, highest, lowest and last logarithm of the price in the period from `minute`."""

    minute: int
    open: float
    high: float
    low: float
    close: float


def seconds_of(time: datetime) -> float:
    """Return the seconds from midnight of 1 January 1970 in India to `time`."""
    return (time - _MIDNIGHT).total_seconds()


def time_at(seconds: float) -> datetime:
    """Return the time of which `seconds_of` returns these seconds, UTC."""
    return (_MIDNIGHT + timedelta(seconds=seconds)).astimezone(UTC)


def minute_of(time: datetime) -> int:
    """Return the number of the minute that contains `time`."""
    return (time - _MIDNIGHT) // timedelta(minutes=1)


def time_of(minute: int) -> datetime:
    """Return when a minute begins, UTC."""
    return (_MIDNIGHT + timedelta(minutes=minute)).astimezone(UTC)


class PricePath:
    """The random walk of one instrument, up to the last step asked for. Thread-safe.

    `zero` is always the time of step 0, in seconds (see `seconds_of`).
    """

    def __init__(
        self,
        draw: random.Random,
        key: str,
        tick_size: Decimal,
        price: float,
        step_seconds: float,
        step: int,
        zero: float,
    ) -> None:
        """Begin at `price` (rupees) in `step`."""
        self._gauss = draw.gauss
        self._tick_size = tick_size
        self._step_seconds = step_seconds
        self._lock = threading.Lock()
        self._tiers = [_Tier(minutes) for minutes in sorted(MINUTES.values())]
        self._step = step
        # The number and the logarithm of the price of each.
        self._last_steps: deque[tuple[int, float]] = deque(maxlen=KEPT_STEPS)
        log_price = math.log(price)
        self._bar = Bar(self._minute_at(step, zero), *[log_price] * 4)
        self._past = _Past(f"{key}/past", log_price, self._bar.minute)

    def follow(self, run: Run, step_seconds: float) -> None:
        """Take the steps of a past run; then change to a pace of `step_seconds`."""
        with self._lock:
            self._step_seconds = run.step_seconds
            self._advance(run.last_step, run.zero)
            self._step_seconds = step_seconds

    def price_at(self, step: int, zero: float) -> Decimal:
        """Return the price (rupees) at a step, or at the latest step taken."""
        with self._lock:
            self._advance(step, zero)
            return self.rupees(self._bar.close)

    def prices_of(self, first: int, last: int, zero: float) -> list[tuple[int, Decimal]]:
        """Return the steps from `first` to `last` with their prices (rupees).

        At most the last KEPT_STEPS.
        """
        with self._lock:
            self._advance(last, zero)
            steps = [each for each in self._last_steps if first <= each[0] <= last]
        return [(step, self.rupees(log_price)) for step, log_price in steps]

    def rupees(self, log_price: float) -> Decimal:
        """Return a price in rupees, rounded to the tick size."""
        ticks = max(round(math.exp(log_price) / float(self._tick_size)), 1)
        return to_paisa(ticks * self._tick_size)

    def continue_from(self, price: Decimal, step: int, zero: float) -> None:
        """Continue from `price` (rupees) in `step`; skip the steps before it."""
        with self._lock:
            self._step = max(step, self._step)
            log_price = math.log(max(price, self._tick_size))
            self._move_to(log_price, self._minute_at(self._step, zero))

    def bars(self, minutes: int, first: int, last: int, step: int, zero: float) -> list[Bar]:
        """Return the bars of `minutes` that began from `first` to before `last`, up to `step`.

        They consist of the past and the walk. If old bars of the walk were dropped, the past is
        left out as well, so that there is no hole.
        """
        with self._lock:
            self._advance(step, zero)
            tiers = [tier for tier in self._tiers if tier.minutes <= minutes]
            forming = [tier.forming for tier in reversed(tiers) if tier.forming]
            walked = tiers[-1].between(first, last)
            walked += [bar for bar in (*forming, self._bar) if first <= bar.minute < last]
            if tiers[-1].has_dropped:
                return _join(walked, minutes)
        return _join([*self._past.bars(minutes, first, last), *walked], minutes)

    def _advance(self, step: int, zero: float) -> None:
        while self._step < step - KEPT_STEPS:
            self._take_steps(min(step - KEPT_STEPS, self._step + STRETCH), zero)
            # Let other threads and greenlets run first.
            time.sleep(0)
        while self._step < step:
            self._take_steps(self._step + 1, zero)
            self._last_steps.append((self._step, self._bar.close))

    def _take_steps(self, goal: int, zero: float) -> None:
        gauss = self._gauss
        while self._step < goal:
            self._step += 1
            minute = self._minute_at(self._step, zero)
            self._move_to(self._bar.close + gauss(0, STEP_VOLATILITY), minute)
            # The other steps of the minute need no further arithmetic on times.
            minute, open, high, low, price = self._bar
            end = math.ceil(((minute + 1) * 60 - zero) / self._step_seconds) - 1
            for _ in range(min(goal, end) - self._step):
                price += gauss(0, STEP_VOLATILITY)
                if price > high:
                    high = price
                elif price < low:
                    low = price
            self._bar = Bar(minute, open, high, low, price)
            self._step = max(min(goal, end), self._step)

    def _move_to(self, log_price: float, minute: int) -> None:
        # After the clock was set back, prices belong to the old minute until it has passed.
        bar = self._bar
        if minute > bar.minute:
            self._keep(bar)
            self._bar = Bar(minute, *[log_price] * 4)
        else:
            high, low = max(bar.high, log_price), min(bar.low, log_price)
            self._bar = Bar(bar.minute, bar.open, high, low, log_price)

    def _keep(self, bar: Bar | None) -> None:
        # Each tier returns the bar it has completed, so most minutes concern two tiers.
        for tier in self._tiers:
            if bar is None:
                return
            bar = tier.add(bar)

    def _minute_at(self, step: int, zero: float) -> int:
        return math.floor((zero + step * self._step_seconds) / 60)


class _Tier:
    """The complete bars of one length, in 40 bytes each, and the bar that is forming."""

    def __init__(self, minutes: int) -> None:
        self.minutes = minutes
        self.forming: Bar | None = None
        self.has_dropped = False
        self._numbers = array("d")

    def add(self, bar: Bar) -> Bar | None:
        """Add a shorter bar, later than all before; return the bar that is complete with it."""
        begin = bar.minute // self.minutes * self.minutes
        complete = self.forming
        if complete is not None and complete.minute == begin:
            self.forming = _joined(begin, [complete, bar])
            return None
        self.forming = bar._replace(minute=begin)
        if complete is not None:
            self._numbers.extend(complete)
            if len(self._numbers) > KEPT_BARS * len(bar):
                # A fifth at once, because the rest is moved each time.
                del self._numbers[: KEPT_BARS // 5 * len(bar)]
                self.has_dropped = True
        return complete

    def between(self, first: int, last: int) -> list[Bar]:
        """Return the complete bars that began from `first` to before `last`."""
        width = len(Bar._fields)
        minutes = self._numbers[::width]
        begin, end = bisect_left(minutes, first), bisect_left(minutes, last)
        numbers = iter(self._numbers[begin * width : end * width])
        return [Bar(int(minute), *rest) for minute, *rest in zip(*[numbers] * width, strict=True)]


class _Past:
    """The invented past of one instrument. It depends only on its key and stores nothing."""

    def __init__(self, key: str, log_price: float, end: int) -> None:
        """Lead to `log_price` in the minute `end`."""
        self._key = key
        self._end = end
        self._origin = end // DAY * DAY
        # The tree counts from the open of the last day, whatever the price.
        self._shift = log_price - self._log_price_at_end()

    def bars(self, minutes: int, first: int, last: int) -> Iterator[Bar]:
        """Yield the bars of `minutes` from `first` to before `last`, in order.

        The bar that the end cuts off comes in shorter parts.
        """
        last = min(last, self._end)
        for day in self._days(first, last):
            for bar in self._parts(day, DAY, minutes, first, last):
                yield Bar(bar.minute, *(price + self._shift for price in bar[1:]))

    def _days(self, first: int, last: int) -> list[Bar]:
        draw = random.Random(f"{self._key}/days")
        volatility = MINUTE_VOLATILITY * math.sqrt(DAY)
        days: list[Bar] = []
        close = draw.gauss(0, volatility)
        open = 0.0
        earliest = max(first // DAY * DAY, self._origin - PAST_DAYS * DAY)
        for minute in range(self._origin, earliest - 1, -DAY):
            above, below = draw.random(), draw.random()
            if minute < last:
                high, low = _extremes(open, close, volatility, above, below)
                days.append(Bar(minute, open, high, low, close))
            close, open = open, open - draw.gauss(0, volatility)
        return days[::-1]

    def _parts(self, bar: Bar, length: int, wanted: int, first: int, last: int) -> Iterator[Bar]:
        if bar.minute >= last or bar.minute + length <= first:
            return
        if length <= wanted and bar.minute + length <= self._end:
            yield bar
            return
        for part in self._split(bar, length):
            yield from self._parts(part, _PART[length], wanted, first, last)

    def _split(self, bar: Bar, length: int) -> list[Bar]:
        """Return the parts of a bar; always the same ones."""
        draw = random.Random(f"{self._key}/{bar.minute - self._origin}/{length}")
        part = _PART[length]
        volatility = MINUTE_VOLATILITY * math.sqrt(part)
        walk = _bridge(draw, bar.open, bar.close, length // part, volatility)
        drawn = [
            (a, *_extremes(a, b, volatility, draw.random(), draw.random()), b)
            for a, b in pairwise(walk)
        ]
        stretch = _stretch(
            bar, max(high for _, high, _, _ in drawn), min(low for _, _, low, _ in drawn)
        )
        return [
            Bar(bar.minute + number * part, *map(stretch, prices))
            for number, prices in enumerate(drawn)
        ]

    def _log_price_at_end(self) -> float:
        (bar,) = self._days(self._origin, self._origin + DAY)
        length = DAY
        while bar.minute < self._end:
            parts = self._split(bar, length)
            length = _PART[length]
            bar = parts[(self._end - bar.minute) // length]
        return bar.open


def _bridge(
    draw: random.Random, start: float, goal: float, steps: int, volatility: float
) -> list[float]:
    """Return a random walk that ends at the goal (a Brownian bridge), both ends included."""
    walk = [0.0]
    for _ in range(steps):
        walk.append(walk[-1] + draw.gauss(0, volatility))
    tilt = (goal - start - walk[-1]) / steps
    inner = [start + price + number * tilt for number, price in enumerate(walk[1:-1], start=1)]
    return [start, *inner, goal]


def _extremes(
    start: float, goal: float, volatility: float, above: float, below: float
) -> tuple[float, float]:
    """Return the highest and lowest point between two points, for two draws from [0, 1).

    This inverts the distribution of a Brownian bridge's maximum. Both lie outside the points.
    """
    square, variance = (goal - start) ** 2, volatility**2
    rise = math.sqrt(square - 2 * variance * math.log(1 - max(above, _MIN_DRAW)))
    fall = math.sqrt(square - 2 * variance * math.log(1 - max(below, _MIN_DRAW)))
    middle = start + goal
    return (middle + rise) / 2, (middle - fall) / 2


def _stretch(bar: Bar, highest: float, lowest: float) -> Callable[[float], float]:
    """Return the function that stretches a walk to the extremes of the bar.

    It keeps the order of any two points, and both ends.
    """
    top, bottom = max(bar.open, bar.close), min(bar.open, bar.close)
    up = (bar.high - top) / (highest - top)
    down = (bottom - bar.low) / (bottom - lowest)

    def stretch(point: float) -> float:
        # The extremes are exact: computed, they could be off by the last bit.
        if point >= highest:
            return bar.high
        if point <= lowest:
            return bar.low
        if point > top:
            return min(top + (point - top) * up, bar.high)
        if point < bottom:
            return max(bottom - (bottom - point) * down, bar.low)
        return point

    return stretch


def _join(bars: Iterable[Bar], minutes: int) -> list[Bar]:
    """Return the bars of `minutes` that shorter bars, in order, add up to."""
    groups = groupby(bars, key=lambda bar: bar.minute // minutes)
    return [_joined(number * minutes, list(parts)) for number, parts in groups]


def _joined(minute: int, parts: list[Bar]) -> Bar:
    high, low = max(part.high for part in parts), min(part.low for part in parts)
    return Bar(minute, parts[0].open, high, low, parts[-1].close)
