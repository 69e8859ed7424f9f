"""The simulated market: a real alternative to the live feeds, not a mock of them.

Each instrument takes a seeded random walk, one step per interval. The price at a step depends
only on the seed, the symbol and the step, so the same seed always gives the same prices.
"""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby

from app.clock import Clock
from app.domain.candle import Candle, Interval, first_beginning_from
from app.domain.quote import Quote, Source
from app.market_data.feed import Feed
from app.market_data.feeds.price_path import (
    MINUTES,
    Bar,
    PricePath,
    Run,
    minute_of,
    seconds_of,
    time_at,
    time_of,
)
from app.market_data.instruments.registry import Instrument, Instruments

# A walk begins within this share of the start price, so different seeds differ at once.
START_SPREAD = 0.01
# The wall clock may drift from the monotonic clock by this much before it counts as set.
CLOCK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Course:
    """A simulated market over its restarts: `runs` are over, and the next one has step 0 at `zero`.

    Prices follow from the seed and from when the market moved, so a restart repeats all steps
    and continues. `starts` are the prices (rupees by symbol) at which the first run began.
    """

    seed: str
    zero: float
    starts: Mapping[str, Decimal] = field(default_factory=dict)
    runs: tuple[Run, ...] = ()
    # How long the current run has lasted in other processes, in seconds.
    elapsed: float = 0.0

    @property
    def first_step(self) -> int:
        """The step at which the next run continues."""
        return self.runs[-1].last_step if self.runs else 0


class SimulatedFeed(Feed):
    name = "simulated"

    def __init__(
        self,
        instruments: Instruments,
        clock: Clock,
        *,
        seed: str | None = None,
        step_seconds: float = 10,
        last_prices: Mapping[str, Decimal] | None = None,
        course: Course | None = None,
    ) -> None:
        """Start the market now, or continue the `course` of earlier runs.

        Without a course, a market with a seed always begins at the same prices, and one without
        a seed begins at `last_prices` (rupees by symbol).
        """
        self._instruments = instruments
        self._clock = clock
        self._step_seconds = step_seconds
        self._started = clock.monotonic()
        self._lock = threading.Lock()
        if course is None:
            starts = {} if seed is not None else dict(last_prices or {})
            seed = seed if seed is not None else secrets.token_hex(8)
            course = Course(seed, seconds_of(clock.now()), starts)
        self._course = course
        self._zero = course.zero
        # Created on demand, since there may be ten thousand instruments.
        self._paths: dict[str, PricePath] = {}

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Return one tick for each symbol: its price at this step."""
        return [quote for symbol in symbols if (quote := self.latest(symbol))]

    def latest(self, symbol: str) -> Quote | None:
        """Return the price at this step, or None for an unknown symbol."""
        path = self._path(symbol)
        if path is None:
            return None
        return Quote(symbol, path.price_at(*self._step()), Source.MOCK, self._clock.now())

    def now(self) -> datetime:
        return self._clock.now()

    def skip_to(self, time: datetime) -> None:
        """Do nothing: a poll returns only current prices."""

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        """Return candles of the steps in between, which another process may have missed.

        None from before this run: the market does not move while no server runs.
        """
        path = self._path(symbol)
        if path is None:
            return []
        (step, zero), pace = self._step(), self._step_seconds
        first = max(round((seconds_of(since) - zero) / pace), self._course.first_step) + 1
        last = min(round((seconds_of(until) - zero) / pace), step)
        ticks = [
            Quote(symbol, price, Source.MOCK, time_at(zero + number * pace))
            for number, price in path.prices_of(first, last, zero)
        ]
        minutes = groupby(ticks, key=lambda tick: minute_of(tick.timestamp))
        return [Candle.of(list(group)) for _, group in minutes]

    def history(
        self, symbol: str, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return candles of the prices since the start, and of the invented past before it."""
        path = self._path(symbol)
        if path is None:
            return []
        until = min(until, self._clock.now() + timedelta(microseconds=1))
        first, last = (minute_of(first_beginning_from(end, interval)) for end in (since, until))
        bars = path.bars(MINUTES[interval], first, last, *self._step())
        return [_candle(symbol, bar, path) for bar in bars]

    def continue_from(self, symbol: str, price: Decimal) -> None:
        """Continue the path of an instrument from `price` (rupees)."""
        instrument = self._instruments.by_symbol(symbol)
        if instrument is None:
            return
        step, zero = self._step()
        with self._lock:
            path = self._paths.get(symbol)
            if path is None:
                self._paths[symbol] = self._begin(instrument, price, step, zero, self._step_seconds)
                return
        path.continue_from(price, step, zero)

    def _path(self, symbol: str) -> PricePath | None:
        if path := self._paths.get(symbol):
            return path
        instrument = self._instruments.by_symbol(symbol)
        if instrument is None:
            return None
        with self._lock:
            if symbol not in self._paths:
                self._paths[symbol] = self._resume(instrument)
            return self._paths[symbol]

    def _resume(self, instrument: Instrument) -> PricePath:
        """Return the path of an instrument after all runs so far."""
        runs = self._course.runs
        zero = runs[0].zero if runs else self._step()[1]
        pace = runs[0].step_seconds if runs else self._step_seconds
        start = self._course.starts.get(instrument.symbol)
        path = self._begin(instrument, start, 0, zero, pace)
        for run in runs:
            path.follow(run, self._step_seconds)
        return path

    def _begin(
        self, instrument: Instrument, price: Decimal | None, step: int, zero: float, pace: float
    ) -> PricePath:
        key = f"{self._course.seed}/{instrument.symbol}"
        draw = random.Random(key)
        offset = draw.uniform(-START_SPREAD, START_SPREAD)
        start = float(price or 0) or float(instrument.start_price) * (1 + offset)
        return PricePath(draw, key, instrument.tick_size, start, pace, step, zero)

    def _step(self) -> tuple[int, float]:
        """Return the current step, and the time of step 0 in seconds (see `seconds_of`)."""
        elapsed = self._clock.monotonic() - self._started + self._course.elapsed
        first = self._course.first_step
        zero = seconds_of(self._clock.now()) - elapsed - first * self._step_seconds
        # The clock was set, or the machine slept: the next steps belong to the new time.
        if abs(zero - self._zero) > CLOCK_SECONDS:
            self._zero = zero
        # The nearest step: polls are an interval apart, give or take a little.
        return first + round(elapsed / self._step_seconds), self._zero


def _candle(symbol: str, bar: Bar, path: PricePath) -> Candle:
    open, high, low, close = map(path.rupees, bar[1:])
    return Candle(symbol, time_of(bar.minute), open, high, low, close, Source.MOCK)
