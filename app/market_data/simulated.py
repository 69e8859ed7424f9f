"""The simulated market: a real alternative to the live feeds, not a mock of them.

Each instrument takes a seeded random walk, one step an interval. The price at a step depends on
the seed, the symbol and the step alone, so the same seed gives the same prices whoever asks,
how often, and in which order.
"""

from __future__ import annotations

import math
import random
import secrets
import threading
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal

from app.clock import Clock
from app.domain.candle import Candle
from app.domain.money import PAISA, to_paisa
from app.domain.quote import Quote, Source
from app.market_data.instruments import Instrument, Instruments

# The standard deviation of one step's return. It is what an index with a yearly volatility of
# 15 % shows in 10 s: 0.15 / sqrt(252 trading days x 2,250 steps a day).
STEP_VOLATILITY = 0.0002
# The walk begins within this share of the base, so that two seeds differ from the first price.
START_SPREAD = 0.01


class SimulatedFeed:
    name = "simulated"

    def __init__(
        self,
        instruments: Instruments,
        clock: Clock,
        *,
        seed: str | None = None,
        step_seconds: float = 10,
        last_prices: Mapping[str, Decimal] | None = None,
    ) -> None:
        """Start the market now.

        Without a seed it is a new market each time, which continues from `last_prices`
        (rupees by symbol); with one it always begins at the same prices.
        """
        self._instruments = instruments
        self._clock = clock
        self._step_seconds = step_seconds
        self._started = clock.monotonic()
        self._lock = threading.Lock()
        starts = {} if seed is not None else dict(last_prices or {})
        seed = seed if seed is not None else secrets.token_hex(8)
        self._walks = {
            each.symbol: _Walk(each, seed, starts.get(each.symbol)) for each in instruments
        }

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Return one tick for each symbol: its price at this step."""
        quotes = (self.latest(symbol) for symbol in symbols)
        return [quote for quote in quotes if quote is not None]

    def latest(self, symbol: str) -> Quote | None:
        """Return the price at this step, None for a symbol that is not an instrument."""
        walk = self._walks.get(symbol)
        if walk is None:
            return None
        with self._lock:
            price = walk.price_at(self._step())
        return Quote(symbol, price, Source.MOCK, self._clock.now())

    def now(self) -> datetime:
        return self._clock.now()

    def skip_to(self, time: datetime) -> None:
        """Skip nothing: a poll has only the price of its own moment."""

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        """Return none: this market stands still while nobody runs it."""
        return []

    def _step(self) -> int:
        # To the nearest step: polls come an interval apart, give or take a little.
        return round((self._clock.monotonic() - self._started) / self._step_seconds)


class _Walk:
    """The random walk of one instrument, taken as far as it was asked for."""

    def __init__(self, instrument: Instrument, seed: str, start: Decimal | None) -> None:
        self._random = random.Random(f"{seed}/{instrument.symbol}")
        self._tick_size = instrument.tick_size
        self._step = 0
        offset = self._random.uniform(-START_SPREAD, START_SPREAD)
        self._log_price = math.log(start or float(instrument.base_price) * (1 + offset))

    def price_at(self, step: int) -> Decimal:
        while self._step < step:
            self._log_price += self._random.gauss(0, STEP_VOLATILITY)
            self._step += 1
        ticks = round(math.exp(self._log_price) / float(self._tick_size))
        return max(to_paisa(ticks * self._tick_size), PAISA)
