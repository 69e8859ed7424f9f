"""The simulated market: a real alternative to the live feeds, not a mock of them.

A price depends only on the seed, the hours, the scenarios, the symbol and the second, so every
process has the same prices, and a restart the same past; see market_model.py. Nothing is stored
but the course of the market, and the corporate actions of its shares once they are announced:
from the open of its ex-date on, a split or a bonus divides the prices, a dividend lowers them.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

from app.clock import Clock
from app.domain.candle import Candle, Interval, first_beginning_from
from app.domain.corporate_actions import CorporateAction
from app.domain.instrument import SUFFIXES, Instrument
from app.domain.quote import Quote
from app.market_data.feed import Feed
from app.market_data.feeds.course import Course
from app.market_data.feeds.divided import (
    UNDIVIDED,
    Division,
    divided_candle,
    divided_price,
    divided_quote,
    division_of_dividend,
)
from app.market_data.feeds.scenarios import Scenario
from app.market_data.feeds.simulated_hours import ALWAYS, SimulatedHours, seconds_of
from app.market_data.instruments.registry import Instruments

if TYPE_CHECKING:
    from app.market_data.feeds.own_actions import Plan
    from app.market_data.feeds.simulated_market import SimulatedMarket

SECOND = timedelta(seconds=1)


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
        processes have started; each poll asks for them. `actions` returns those of a symbol that
        are known, in order.
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
        # By symbol, number of past actions, and open of the last one.
        self._divisions: dict[tuple[str, int, datetime], Division] = {}
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
        division = self._division(instrument, quote.timestamp)
        if division is UNDIVIDED:
            return quote
        return divided_quote(quote, division, instrument.tick_size)

    def now(self) -> datetime:
        return self._clock.now()

    def skip_to(self, time: datetime) -> None:
        """Do nothing: a poll returns only current prices."""

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        """Return the candles of the time in between, which no poll may have seen.

        The market continues while no server runs.
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

    def new_actions(self) -> list[CorporateAction]:
        """Return the actions of its own that it announces now and that are not known yet."""
        # Imports numpy: see `_make`.
        from app.market_data.feeds.own_actions import OwnActions

        plans = OwnActions(self._course.seed, self._hours).announced(self._clock.now())
        return [action for plan in plans for action in self._announced(plan)]

    def _announced(self, plan: Plan) -> list[CorporateAction]:
        """Return the actions of a plan, one for each listing, without those that are known."""
        from app.market_data.feeds.own_actions import REST_DAYS

        named = (plan.ticker + suffix for suffix in SUFFIXES.values())
        listings = [found for each in named if (found := self._instruments.by_symbol(each))]
        known = [action for each in listings for action in self._actions(each.symbol)]
        near = [each for each in known if abs((each.ex_date - plan.ex_date).days) <= REST_DAYS]
        if not listings or any(
            (each.ex_date, each.kind) != (plan.ex_date, plan.kind) for each in near
        ):
            return []
        missing = {each.symbol for each in listings} - {each.symbol for each in near}
        if not missing:
            return []
        price = self._price_at(listings[0], plan.announced_at)
        return [plan.action(symbol, price) for symbol in sorted(missing) if plan.suits(price)]

    def _divided(self, instrument: Instrument, days: Iterable[list[Candle]]) -> list[Candle]:
        """Return the candles, each after what has divided the prices by its time."""
        candles, tick_size = _collect(days), instrument.tick_size
        opens = [action.opens_at for action in self._actions(instrument.symbol)]
        divided: list[Candle] = []
        for _, group in groupby(candles, lambda candle: bisect_right(opens, candle.time)):
            same = list(group)
            division = self._division(instrument, same[0].time)
            if division is not UNDIVIDED:
                same = [divided_candle(candle, division, tick_size) for candle in same]
            divided += same
        return divided

    def _division(self, instrument: Instrument, time: datetime) -> Division:
        """Return what has divided the prices of a time since the course of the market began."""
        begun = self._course.zero
        return self._after(
            instrument,
            [
                action
                for action in self._actions(instrument.symbol)
                if action.opens_at <= time and seconds_of(action.opens_at) > begun
            ],
        )

    def _after(self, instrument: Instrument, past: Sequence[CorporateAction]) -> Division:
        """Return what these actions, all of the course, have divided the prices by."""
        if not past:
            return UNDIVIDED
        last = past[-1]
        known, key = self._divisions, (instrument.symbol, len(past), last.opens_at)
        if key not in known:
            known[key] = self._after(instrument, past[:-1]).then(self._effect(instrument, last))
        return known[key]

    def _effect(self, instrument: Instrument, action: CorporateAction) -> Division:
        """Return what a past action has divided the prices by."""
        if action.amount is None:
            return Division(action.factor, action.factor)
        close = self._price_at(instrument, action.opens_at - SECOND)
        return division_of_dividend(action.amount, close, instrument.tick_size)

    def _price_at(self, instrument: Instrument, time: datetime) -> Decimal:
        """Return the price at a time that has passed."""
        price = self._market.price(instrument, math.floor(seconds_of(time)))
        return divided_price(price, self._division(instrument, time), instrument.tick_size)

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
            # Another process may have started one before a close that was just looked up.
            self._divisions = {}

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
