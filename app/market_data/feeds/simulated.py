"""The simulated market: a real alternative to the live feeds, not a mock of them.

A price depends only on the seed, the hours, the scenarios, the symbol and the second, so every
process has the same prices, and a restart the same past; see market_model.py. Nothing is stored
but the course of the market. Splits and bonuses that are known divide the prices of their share.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from app.clock import Clock
from app.domain.candle import Candle, Interval, first_beginning_from
from app.domain.corporate_actions import CorporateAction
from app.domain.instrument import Instrument
from app.domain.quote import Quote
from app.market_data.feed import Feed
from app.market_data.feeds.course import Course
from app.market_data.feeds.divided import divided_candle, divided_quote
from app.market_data.feeds.scenarios import Scenario
from app.market_data.feeds.simulated_hours import ALWAYS, SimulatedHours, seconds_of
from app.market_data.instruments.registry import Instruments

if TYPE_CHECKING:
    from app.market_data.feeds.simulated_market import SimulatedMarket


class SimulatedFeed(Feed):
    name = "simulated"

    def __init__(
        self,
        instruments: Instruments,
        clock: Clock,
        *,
        seed: str | None = None,
        last_prices: Mapping[str, Decimal] | None = None,
        course: Course | None = None,
        hours: SimulatedHours = ALWAYS,
        read_scenarios: Callable[[], tuple[Scenario, ...]] | None = None,
        actions: Callable[[str], Sequence[CorporateAction]] = lambda _symbol: (),
    ) -> None:
        """Simulate the `course`.

        Without a course, a market with a seed has always the same prices, and one without a seed
        continues at `last_prices` (rupees by symbol). `read_scenarios` returns those that other
        processes have started; each poll asks for them. `actions` returns those of a symbol, which
        divide its prices from the open of their ex-date on.
        """
        self._instruments = instruments
        self._clock = clock
        self._hours = hours
        self._read_scenarios = read_scenarios
        self._actions = actions
        if course is None:
            starts = {} if seed is not None else dict(last_prices or {})
            seed = seed if seed is not None else secrets.token_hex(8)
            course = Course(seed, seconds_of(clock.now()), starts)
        self._course = course
        self._made: SimulatedMarket | None = None
        self._lock = threading.Lock()

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Return one tick for each symbol: its price now."""
        if self._read_scenarios:
            self.set_scenarios(self._read_scenarios())
        return [quote for symbol in symbols if (quote := self.latest(symbol))]

    def latest(self, symbol: str) -> Quote | None:
        """Return the price now, or None for an unknown symbol."""
        instrument = self._instruments.by_symbol(symbol)
        if instrument is None:
            return None
        quote = self._market.quote(instrument, self._clock.now())
        factor = self._factor(symbol, quote.timestamp)
        return quote if factor == 1 else divided_quote(quote, factor, instrument.tick_size)

    def now(self) -> datetime:
        return self._clock.now()

    def skip_to(self, time: datetime) -> None:
        """Do nothing: a poll returns only current prices."""

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        """Return the candles of the time in between, which no poll may have seen.

        The market goes on while no server runs.
        """
        instrument = self._instruments.by_symbol(symbol)
        if instrument is None:
            return []
        begin, end = (math.floor(seconds_of(each)) for each in (since, until))
        return self._divided(instrument, self._market.candles_after(instrument, begin, end))

    def history(
        self, symbol: str, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return the candles of the last ten years up to now."""
        instrument = self._instruments.by_symbol(symbol)
        if instrument is None:
            return []
        first, last = (
            math.floor(seconds_of(first_beginning_from(end, interval)) / 60)
            for end in (since, until)
        )
        now = math.floor(seconds_of(self._clock.now()))
        candles = self._market.candles(instrument, interval, first, last, now)
        return self._divided(instrument, candles)

    def _divided(self, instrument: Instrument, days: Iterable[list[Candle]]) -> list[Candle]:
        """Return the candles, each in the units of its time."""
        candles = _collect(days)
        if not self._actions(instrument.symbol):
            return candles
        factors = (self._factor(instrument.symbol, candle.time) for candle in candles)
        return [
            candle if factor == 1 else divided_candle(candle, factor, instrument.tick_size)
            for candle, factor in zip(candles, factors, strict=True)
        ]

    def _factor(self, symbol: str, time: datetime) -> Fraction:
        """Return the units at a time for each unit that the course of the market began with."""
        begun = self._course.zero
        factors = (
            action.factor
            for action in self._actions(symbol)
            if action.opens_at <= time and seconds_of(action.opens_at) > begun
        )
        return math.prod(factors, start=Fraction(1))

    def continue_from(self, symbol: str, price: Decimal) -> None:
        """Have the instrument cost `price` (rupees) now, and scale all its prices."""
        if instrument := self._instruments.by_symbol(symbol):
            now = math.floor(seconds_of(self._clock.now()))
            self._market.continue_from(instrument, price, now)

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """The scenarios so far, oldest first."""
        return self._course.scenarios

    def set_scenarios(self, scenarios: tuple[Scenario, ...]) -> None:
        """Replace the scenarios. Prices before the first new one stay as they were."""
        if scenarios == self._course.scenarios:
            return
        market = self._market
        with self._lock:
            self._course = replace(self._course, scenarios=scenarios)
            self._made = self._make(market.offsets)

    @property
    def _market(self) -> SimulatedMarket:
        with self._lock:
            if self._made is None:
                self._made = self._make({})
            return self._made

    def _make(self, offsets: Mapping[str, float]) -> SimulatedMarket:
        # Imports numpy, which takes a tenth of a second: after the start, not during it.
        from app.market_data.feeds.simulated_market import SimulatedMarket

        return SimulatedMarket(self._course, self._hours, offsets)


def _collect(days: Iterable[list[Candle]]) -> list[Candle]:
    candles: list[Candle] = []
    for day in days:
        candles += day
        # Let other threads and greenlets run first.
        time.sleep(0)
    return candles
