"""A price source that answers, fails or hangs as a test decides."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from decimal import Decimal

from app.clock import Clock
from app.domain.candle import Candle, Interval
from app.domain.quote import NO_DETAILS, Quote, QuoteDetails, Source
from app.market_data.feed import Feed
from app.market_data.instruments.registry import Instrument
from app.market_data.providers.base import NO_DEADLINE


class ScriptedSource:
    """Returns `prices` by symbol. Calls raise `failing`, and wait while `go` is not set."""

    def __init__(
        self,
        clock: Clock,
        source: Source = Source.ANGEL_ONE,
        *,
        only: Collection[str] | None = None,
        batch_size: int = 50,
        **prices: Decimal | int,
    ) -> None:
        self.source = source
        self.batch_size = batch_size
        self.prices: dict[str, Decimal] = {}
        self.details: dict[str, QuoteDetails] = {}
        self.candles_by_symbol: dict[str, list[Candle]] = {}
        self.failing: Exception | None = None
        self.calls: list[list[str]] = []
        self.deadlines: list[float] = []
        self.go = threading.Event()
        self.go.set()
        self._clock = clock
        self.only = only
        self.asked_whether_known: list[str] = []

    def knows(self, instrument: Instrument) -> bool:
        self.asked_whether_known.append(instrument.symbol)
        return self.only is None or instrument.symbol in self.only

    def fetch(
        self, instruments: Sequence[Instrument], *, deadline: float = NO_DEADLINE
    ) -> list[Quote]:
        self.calls.append([instrument.symbol for instrument in instruments])
        self.deadlines.append(deadline)
        self._behave()
        return [
            Quote(
                instrument.symbol,
                Decimal(self.prices[instrument.symbol]).quantize(Decimal("0.01")),
                self.source,
                self._clock.now(),
                details=self.details.get(instrument.symbol, NO_DETAILS),
            )
            for instrument in instruments
            if instrument.symbol in self.prices
        ]

    def candles(
        self,
        instrument: Instrument,
        interval: Interval,
        since: datetime,
        until: datetime,
        *,
        deadline: float = NO_DEADLINE,
    ) -> list[Candle]:
        self._behave()
        candles = self.candles_by_symbol.get(instrument.symbol, [])
        return [candle for candle in candles if since <= candle.time < until]

    def verify(self) -> str:
        self._behave()
        return "works"

    def _behave(self) -> None:
        self.go.wait(30)
        if self.failing:
            raise self.failing


def tick_waiter(feed: Feed) -> Callable[[], None]:
    """Return a function that waits until `feed` announced ticks since the last call."""
    arrived = threading.Event()
    feed.listen(arrived.set)

    def wait() -> None:
        assert arrived.wait(10), "no ticks within 10 s"
        arrived.clear()

    return wait
