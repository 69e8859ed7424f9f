"""A manual clock and a scripted feed: real alternatives, not patches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.domain.candle import Candle, Interval
from app.domain.quote import NO_DETAILS, Quote, QuoteDetails, Source
from app.market_data.feed import Feed, Gap
from app.market_data.tick_filter import TickFilter

# The maximum wait of a test for polls.
POLL_SECONDS = 20


class ManualClock:
    """A clock that a test advances."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0

    def now(self) -> datetime:
        # Whole milliseconds, as the system's clock; the sum of seconds has errors of its own.
        milliseconds = int(round(self._elapsed * 1000, 6))
        return self._start + timedelta(milliseconds=milliseconds)

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        self._elapsed += seconds

    def set_back(self, seconds: float) -> None:
        """Set the wall clock back, as an operator would; the monotonic clock does not change."""
        self._start -= timedelta(seconds=seconds)


def permissive_filter(clock: ManualClock) -> TickFilter:
    """Return a filter that rejects only what is not a price."""
    return TickFilter(clock, max_age=timedelta(days=36_500), max_move=Decimal(10**9))


class ScriptedFeed(Feed):
    """A market that a test scripts: `tick` adds the next price, `record` a candle of the past."""

    name = "scripted"

    def __init__(self, clock: ManualClock, source: Source = Source.MOCK) -> None:
        self._clock = clock
        self.source = source
        self._latest: dict[str, Quote] = {}
        self._pending: list[Quote] = []
        self.past: list[Candle] = []
        self._arrived: list[Quote] = []
        self.gaps: list[Gap] = []
        self._wake: Callable[[], None] = lambda: None

    def set(
        self, symbol: str, price: Decimal | int | str, details: QuoteDetails = NO_DETAILS
    ) -> Quote:
        """Set the price without a tick for the monitor."""
        amount = Decimal(price).quantize(Decimal("0.01"))
        quote = Quote(symbol, amount, self.source, self._clock.now(), details=details)
        self._latest[symbol] = quote
        return quote

    def tick(
        self, symbol: str, price: Decimal | int | str, details: QuoteDetails = NO_DETAILS
    ) -> Quote:
        """Set the price, with a tick that the monitor's next poll returns."""
        quote = self.set(symbol, price, details)
        self._pending.append(quote)
        return quote

    def record(
        self,
        symbol: str,
        time: datetime,
        *prices: Decimal | int | str,
        source: Source | None = None,
    ) -> Candle:
        """Add a candle of these prices, in their order, that began at `time`."""
        candle = Candle.of(
            [
                Quote(symbol, Decimal(price).quantize(Decimal("0.01")), source or self.source, time)
                for price in prices
            ]
        )
        self.past.append(candle)
        return candle

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        ticks = [tick for tick in self._pending if tick.symbol in symbols]
        self._pending.clear()
        # A poll returns ticks in the order of their arrival, as every feed does.
        return sorted([*self.collect(), *ticks], key=lambda tick: tick.timestamp)

    def latest(self, symbol: str) -> Quote | None:
        return self._latest.get(symbol)

    def listen(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def push(self, symbol: str, price: Decimal | int | str) -> Quote:
        """Set the price, with a tick that `collect` returns without a poll.

        It overtakes no tick before it, as those of a stream do not.
        """
        self._arrived += self._pending
        self._pending.clear()
        quote = self.set(symbol, price)
        self._arrived.append(quote)
        self._wake()
        return quote

    def collect(self) -> list[Quote]:
        ticks, self._arrived = self._arrived, []
        return ticks

    def collect_gaps(self) -> list[Gap]:
        gaps, self.gaps = self.gaps, []
        return gaps

    def history(
        self, symbol: str, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        found = [each for each in self.past if each.symbol == symbol and since <= each.time < until]
        return sorted(found, key=lambda each: each.time)

    def now(self) -> datetime:
        return self._clock.now()

    def skip_to(self, time: datetime) -> None:
        self._pending = [tick for tick in self._pending if tick.timestamp > time]

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        found = [each for each in self.past if each.symbol == symbol and since < each.time <= until]
        return sorted(found, key=lambda each: each.time)


class WatchedFeed(ScriptedFeed):
    """A scripted market that records its polls and can fail them."""

    def __init__(self, clock: ManualClock, source: Source = Source.MOCK) -> None:
        super().__init__(clock, source)
        self.polls: list[set[str]] = []
        self.failures = 0
        self._polled = threading.Condition()

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        with self._polled:
            self.polls.append(set(symbols))
            self._polled.notify_all()
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the exchange hung up")
        return super().poll(symbols)

    def wait_for_polls(self, count: int) -> None:
        with self._polled:
            assert self._polled.wait_for(lambda: len(self.polls) >= count, POLL_SECONDS)

    def wait_until_polled(self, symbols: set[str]) -> None:
        """Wait for a poll of exactly these symbols."""
        with self._polled:
            assert self._polled.wait_for(lambda: self.polls[-1:] == [symbols], POLL_SECONDS)


class InterruptingFeed(WatchedFeed):
    """A market in which something happens each time after the monitor has received ticks."""

    def __init__(self, clock: ManualClock, source: Source = Source.MOCK) -> None:
        super().__init__(clock, source)
        self.interruptions: list[Callable[[], object]] = []

    def collect_gaps(self) -> list[Gap]:
        if self.interruptions:
            self.interruptions.pop(0)()
        return super().collect_gaps()


class RemoteFeed(ScriptedFeed):
    """A remote market: `latest` waits for it, `ask` does not. Both record the symbols."""

    remote = True

    def __init__(self, clock: ManualClock, source: Source = Source.MOCK) -> None:
        super().__init__(clock, source)
        self.asked: list[str] = []
        self.asked_aside: list[str] = []
        self.waits = 0
        self.is_away = False

    def ask(self, symbols: Collection[str]) -> None:
        self.asked_aside.extend(symbols)

    def latest(self, symbol: str) -> Quote | None:
        return self.latest_of([symbol]).get(symbol)

    def latest_of(self, symbols: Collection[str]) -> dict[str, Quote]:
        self.asked.extend(symbols)
        self.waits += bool(symbols)
        found = {symbol: super(RemoteFeed, self).latest(symbol) for symbol in symbols}
        return {} if self.is_away else {name: quote for name, quote in found.items() if quote}
