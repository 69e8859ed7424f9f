"""The live feed: real prices, of each symbol from the best source that has it.

Each round, a symbol goes down the chain of sources (Angel One, Yahoo) until one prices it, so a
source that recovers is used again in the next round. No caller waits for a source: polls collect
the ticks that have arrived, and a request gets the known price, or waits a moment if there is
none. If every real source has failed for two intervals, and the chain ends in the simulated
market, that continues from the last real price.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from math import inf
from typing import Any, Protocol

from app.clock import Clock
from app.domain.candle import Candle, Interval
from app.domain.money import is_price
from app.domain.quote import Quote, Source
from app.market_data.feed import Feed, Gap
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.feeds.stream_details import StreamDetails
from app.market_data.instruments.registry import Instrument, Instruments
from app.market_data.providers.base import ReportedAction
from app.market_data.providers.chain import SourceChain
from app.market_data.providers.resilience import ResilientSource

# How long a request waits for the first price of a symbol.
TIMEOUT_SECONDS = 1.0
# Maximum ticks kept until the monitor collects them: minutes of a busy stream.
MAX_UNCOLLECTED = 200_000


class Stream(Protocol):
    """Prices that the first source of the chain pushes; `has_details` if more than prices."""

    has_details: bool

    def follow(self, instruments: Collection[Instrument]) -> None:
        """Subscribe to these instruments, and to no others."""

    def is_live(self, symbol: str) -> bool:
        """Return whether every change of the symbol's price arrives right now."""

    def close(self) -> None:
        """Stop."""


@dataclass(slots=True)
class _Price:
    """The latest quote of a symbol, and since when its real sources have failed."""

    quote: Quote
    arrived_at: float
    is_streamed: bool = False
    last_real: Quote | None = None
    failing_since: datetime | None = None


class LiveFeed(Feed):
    name = "live"
    remote = True

    def __init__(
        self,
        sources: Sequence[ResilientSource],
        instruments: Instruments,
        clock: Clock,
        *,
        interval_seconds: float,
        fallback: SimulatedFeed | None = None,
        last_quote: Callable[[str], Quote | None] = lambda _symbol: None,
    ) -> None:
        """Ask `sources` in order, every `interval_seconds` for the symbols polled.

        `last_quote` returns the last quote of a symbol that any process saved.
        """
        self._chain = SourceChain(
            sources,
            on_quotes=partial(self.receive, is_streamed=False),
            on_missing=self._fall_back,
            is_urgent=self._is_urgent,
        )
        self._instruments = instruments
        self._clock = clock
        self._interval = interval_seconds
        self._fallback = fallback
        self._last_quote = last_quote
        # Symbols that are live on it are not polled for prices.
        self.stream: Stream | None = None
        self._details = StreamDetails(sources[0], clock, self._receive_details)
        self._prices: dict[str, _Price] = {}
        self._preferred: frozenset[str] = frozenset()
        # When no source had a price of a symbol, by the monotonic clock.
        self._missed_at: dict[str, float] = {}
        # The number of requests that wait for a symbol.
        self._awaited: Counter[str] = Counter()
        self._ticks: deque[Quote] = deque(maxlen=MAX_UNCOLLECTED)
        self._gaps: list[Gap] = []
        self._arrival = threading.Condition()
        self._wake: Callable[[], None] | None = None

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake`, from any thread, whenever ticks arrive."""
        self._wake = wake

    def prefer(self, symbols: Collection[str]) -> None:
        """Fetch these symbols before all others from now on."""
        self._preferred = frozenset(symbols)

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Request prices of `symbols`, and return the ticks that have arrived."""
        instruments = self._known_instruments(symbols)
        if self.stream:
            self.stream.follow(instruments)
        live = {each.symbol: each for each in instruments if self._is_live(each.symbol)}
        self._chain.submit([each for each in instruments if each.symbol not in live])
        if self.stream and not self.stream.has_details:
            self._details.ask(live.values())
        return self.collect()

    def ask(self, symbols: Collection[str]) -> None:
        """Request prices of `symbols`, which arrive as ticks."""
        self._chain.submit(self._known_instruments(symbols))

    def collect(self) -> list[Quote]:
        """Return the ticks that have arrived since the last call, in order."""
        with self._arrival:
            ticks = list(self._ticks)
            self._ticks.clear()
        return ticks

    def collect_gaps(self) -> list[Gap]:
        """Return the periods, now over, in which a symbol had no real price."""
        with self._arrival:
            gaps, self._gaps = self._gaps, []
        return gaps

    def latest(self, symbol: str) -> Quote | None:
        """Return the latest quote; if it is old, wait a moment for a new one."""
        return self.latest_of([symbol]).get(symbol)

    def latest_of(self, symbols: Collection[str]) -> dict[str, Quote]:
        """Return the latest quotes; wait a moment, once, for new ones in place of old ones."""
        instruments = self._known_instruments(symbols)
        quotes = {
            instrument.symbol: self._recent_quote(instrument.symbol) for instrument in instruments
        }
        missing = [instrument for instrument in instruments if quotes[instrument.symbol] is None]
        if missing:
            self._await(missing)
            quotes.update(
                {instrument.symbol: self._recent_quote(instrument.symbol) for instrument in missing}
            )
        return {symbol: quote for symbol, quote in quotes.items() if quote}

    def now(self) -> datetime:
        return self._clock.now()

    def skip_to(self, time: datetime) -> None:
        """Do nothing: ticks are of the time at which they arrive."""

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        """Return the candles of a minute, including the one that contains `since`.

        Raises MarketDataUnavailable if no source answers.
        """
        start = since.replace(second=0, microsecond=0)
        return self.history(symbol, Interval.MINUTE, start, until)

    def history(
        self, symbol: str, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return the candles of the first source that has any.

        Raises MarketDataUnavailable if no source answers, or CandlesRefused if all refuse.
        """
        return self._chain.candles(self._instruments.get(symbol), interval, since, until)

    def actions(self, symbol: str, since: datetime) -> list[ReportedAction]:
        """Return the splits and dividends since a time of the first source that reports some.

        Empty if no source answers.
        """
        return self._chain.actions(self._instruments.get(symbol), since)

    def describe(self) -> dict[str, Any]:
        """Return the state of each source and of the stream, for an operator."""
        state = self._chain.describe()
        if self.stream:
            with self._arrival:
                symbols = list(self._prices)
            state["stream"] = {"live_symbols": sum(map(self.stream.is_live, symbols))}
        return state

    def close(self) -> None:
        """Close the stream."""
        if self.stream:
            self.stream.close()

    def _known_instruments(self, symbols: Iterable[str]) -> list[Instrument]:
        return [
            instrument for instrument in map(self._instruments.by_symbol, symbols) if instrument
        ]

    def _await(self, instruments: Sequence[Instrument]) -> None:
        """Fetch these instruments with priority, and wait until each has a price or has failed."""
        asked_at = self._clock.monotonic()
        symbols = [instrument.symbol for instrument in instruments]
        with self._arrival:
            self._awaited.update(symbols)
        try:
            self._chain.submit(instruments)
            with self._arrival:
                self._arrival.wait_for(
                    lambda: all(self._is_answered(symbol, asked_at) for symbol in symbols),
                    TIMEOUT_SECONDS,
                )
        finally:
            with self._arrival:
                self._awaited -= Counter(symbols)

    def _is_answered(self, symbol: str, asked_at: float) -> bool:
        """Return whether a price has arrived since, or every source has failed."""
        price = self._prices.get(symbol)
        arrived_at = price.arrived_at if price else -inf
        return max(arrived_at, self._missed_at.get(symbol, -inf)) >= asked_at

    def _receive_details(self, quotes: Iterable[Quote]) -> None:
        """Repeat the last streamed prices, with the details of quotes that were polled."""
        with self._arrival:
            for polled in quotes:
                price = self._prices.get(polled.symbol)
                # If the stream has lost the symbol meanwhile, it is polled for its price as well.
                if price and price.is_streamed and price.quote.source is polled.source:
                    price.quote = price.last_real = replace(price.quote, details=polled.details)
                    self._ticks.append(price.quote)

    def _is_urgent(self, symbol: str) -> bool:
        return symbol in self._preferred or symbol in self._awaited

    def receive(self, quotes: Iterable[Quote], *, is_streamed: bool = True) -> None:
        """Take the usable ones of these quotes as ticks."""
        with self._arrival:
            ticks = [
                quote
                for quote in quotes
                if is_price(quote.price) and self._accept(quote, is_streamed)
            ]
            self._ticks.extend(ticks)
            self._arrival.notify_all()
        if ticks and self._wake:
            self._wake()

    def _accept(self, quote: Quote, is_streamed: bool) -> bool:
        """Store the quote; return False if a newer or better one is known."""
        price = self._prices.get(quote.symbol)
        if price is None:
            price = self._prices[quote.symbol] = _Price(quote, 0.0)
        elif not is_streamed and self._is_outdated(quote, price):
            return False
        if price.failing_since and price.last_real:
            now = self._clock.now()
            if now - price.failing_since >= timedelta(seconds=2 * self._interval):
                # Only candles can tell what happened in between.
                self._gaps.append(Gap(quote.symbol, price.last_real.timestamp, now))
        price.quote = price.last_real = quote
        price.is_streamed = is_streamed
        price.arrived_at = self._clock.monotonic()
        price.failing_since = None
        return True

    def _is_outdated(self, quote: Quote, price: _Price) -> bool:
        """Return whether the stream, or a better source, has a newer price by now."""
        if price.is_streamed and self._is_live(quote.symbol):
            return True
        last = price.last_real
        if last is None or price.failing_since is not None:
            return False
        if last.source is quote.source:
            return quote.timestamp < last.timestamp
        is_current = self._clock.monotonic() - price.arrived_at < self._interval
        ranks = self._chain.ranks
        return is_current and ranks[last.source] < ranks[quote.source]

    def _recent_quote(self, symbol: str) -> Quote | None:
        """Return a quote that needs no new request, of this or another process."""
        with self._arrival:
            price = self._prices.get(symbol)
        if price and (self._is_live(symbol) or self._is_recent(price)):
            return price.quote
        quote = self._last_quote(symbol)
        if quote is None or not self._is_ours(quote.source):
            return None
        age = self._clock.now() - quote.timestamp
        return quote if age.total_seconds() <= 2 * self._interval else None

    def _is_ours(self, source: Source) -> bool:
        return source in self._chain.ranks or (source is Source.MOCK and self._fallback is not None)

    def _is_recent(self, price: _Price) -> bool:
        # A quote of the round before last still serves, so one failed round does not matter.
        return self._clock.monotonic() - price.arrived_at <= 2 * self._interval

    def _is_live(self, symbol: str) -> bool:
        return self.stream is not None and self.stream.is_live(symbol)

    def _fall_back(self, instruments: Iterable[Instrument]) -> None:
        """Record that no real source has these instruments; simulate them after a while."""
        now = self._clock.monotonic()
        symbols = [instrument.symbol for instrument in instruments]
        with self._arrival:
            self._missed_at.update(dict.fromkeys(symbols, now))
            quotes = [quote for quote in map(self._simulate, symbols) if quote]
            self._ticks.extend(quotes)
            self._arrival.notify_all()
        if quotes and self._wake:
            self._wake()

    def _simulate(self, symbol: str) -> Quote | None:
        price = self._prices.get(symbol)
        if price and price.failing_since is None and price.last_real:
            price.failing_since = self._clock.now()
        if self._fallback is None:
            return None
        if price and price.quote.source.is_real:
            if self._is_recent(price):
                return None
            self._fallback.continue_from(symbol, price.quote.price)
        quote = self._fallback.latest(symbol)
        if quote:
            price = price or self._prices.setdefault(symbol, _Price(quote, 0.0))
            price.quote = quote
            price.arrived_at = self._clock.monotonic()
        return quote
