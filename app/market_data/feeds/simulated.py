"""The simulated market: a real alternative to the live feeds, not a mock of them.

Each instrument takes a seeded random walk, one step an interval. The price at a step depends on
the seed, the symbol and the step alone, so the same seed gives the same prices whoever asks,
how often, and in which order.
"""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from app.clock import Clock
from app.domain.candle import Candle, Interval, first_beginning_from
from app.domain.quote import Quote, Source
from app.market_data.course import Course
from app.market_data.feed import LocalFeed
from app.market_data.feeds.bars import MINUTES, Bar, minute_of, seconds_of, time_of
from app.market_data.feeds.price_path import PricePath
from app.market_data.instruments.registry import Instrument, Instruments

# The walk begins within this share of the base, so that two seeds differ from the first price.
START_SPREAD = 0.01
# By how much the wall clock may run apart from the other before it counts as set.
CLOCK_SECONDS = 1.0


class SimulatedFeed(LocalFeed):
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
        """Start the market now; continue the `course` of earlier runs, if there is one.

        Without it a market with a seed always begins at the same prices, and one without
        begins at `last_prices` (rupees by symbol).
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
        # Of the symbols that were asked for: there may be ten thousand others.
        self._walks: dict[str, PricePath] = {}

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Return one tick for each symbol: its price at this step."""
        quotes = (self.latest(symbol) for symbol in symbols)
        return [quote for quote in quotes if quote is not None]

    def latest(self, symbol: str) -> Quote | None:
        """Return the price at this step, None for a symbol that is not an instrument."""
        walk = self._walk(symbol)
        if walk is None:
            return None
        return Quote(symbol, walk.price_at(*self._moment()), Source.MOCK, self._clock.now())

    def now(self) -> datetime:
        return self._clock.now()

    def skip_to(self, time: datetime) -> None:
        """Skip nothing: a poll has only the price of its own moment."""

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        """Return none: this market stands still while nobody runs it."""
        return []

    def history(
        self, symbol: str, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return candles of the prices since the start, and of an invented past before it."""
        walk = self._walk(symbol)
        if walk is None:
            return []
        until = min(until, self._clock.now() + timedelta(microseconds=1))
        first, last = (minute_of(first_beginning_from(each, interval)) for each in (since, until))
        spans = walk.spans(MINUTES[interval], first, last, *self._moment())
        return [_candle(symbol, span, walk) for span in spans]

    def continue_from(self, symbol: str, price: Decimal) -> None:
        """Have the walk of an instrument go on from `price` (rupees) from now on."""
        instrument = self._instruments.by_symbol(symbol)
        if instrument is None:
            return
        step, zero = self._moment()
        with self._lock:
            walk = self._walks.get(symbol)
            if walk is None:
                self._walks[symbol] = self._begin(instrument, price, step, zero)
                return
        walk.continue_from(price, step, zero)

    def _walk(self, symbol: str) -> PricePath | None:
        walk = self._walks.get(symbol)
        if walk is not None:
            return walk
        instrument = self._instruments.by_symbol(symbol)
        if instrument is None:
            return None
        with self._lock:
            if symbol not in self._walks:
                self._walks[symbol] = self._resume(instrument)
            return self._walks[symbol]

    def _resume(self, instrument: Instrument) -> PricePath:
        """Return the walk of an instrument since the market's first run."""
        runs = self._course.runs
        zero = runs[0].zero if runs else self._moment()[1]
        pace = runs[0].step_seconds if runs else self._step_seconds
        start = self._course.starts.get(instrument.symbol)
        walk = self._begin(instrument, start, 0, zero, step_seconds=pace)
        for run in runs:
            walk.follow(run, self._step_seconds)
        return walk

    def _begin(
        self,
        instrument: Instrument,
        price: Decimal | None,
        step: int,
        zero: float,
        *,
        step_seconds: float | None = None,
    ) -> PricePath:
        key = f"{self._course.seed}/{instrument.symbol}"
        draw = random.Random(key)
        offset = draw.uniform(-START_SPREAD, START_SPREAD)
        return PricePath(
            draw,
            f"{key}/past",
            instrument.tick_size,
            float(price or 0) or float(instrument.start_price) * (1 + offset),
            step_seconds=step_seconds or self._step_seconds,
            step=step,
            zero=zero,
        )

    def _moment(self) -> tuple[int, float]:
        """Return the step that it is, and when step 0 was (see Walk)."""
        elapsed = self._clock.monotonic() - self._started
        first = self._course.first_step
        zero = seconds_of(self._clock.now()) - elapsed - first * self._step_seconds
        # The clock was set, or the machine slept: the walk goes on at the time it is now.
        if abs(zero - self._zero) > CLOCK_SECONDS:
            self._zero = zero
        # To the nearest step: polls come an interval apart, give or take a little.
        return first + round(elapsed / self._step_seconds), self._zero


def _candle(symbol: str, span: Bar, walk: PricePath) -> Candle:
    open, high, low, close = map(walk.rupees, span[1:])
    return Candle(symbol, time_of(span.minute), open, high, low, close, Source.MOCK)
