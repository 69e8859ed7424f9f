"""The live feed: real prices, symbol by symbol from the best source that has them.

Each symbol goes down a chain of lanes (Angel One, Yahoo) until one prices it, on every round
anew, so that a source that recovers is back with the next round. Nobody waits for a source:
polls collect what has come in, and requests are served what is known, or wait a moment for what
was never asked before. Where every real source has failed for longer than a hiccup, and the
chain ends in the simulated market, that goes on from the last real price.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Any, Protocol

from app.clock import Clock
from app.domain.candle import Candle, Interval
from app.domain.errors import MarketDataUnavailable
from app.domain.money import is_price
from app.domain.quote import Quote, Source
from app.market_data.feed import CandlesRefused, Gap
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.instruments.registry import Instrument, Instruments
from app.market_data.providers.base import HistoryRefused, SourceError, SourceRefused
from app.market_data.providers.resilience import ResilientSource
from app.market_data.providers.worker import SourceWorker

# For so long a request waits for the first price of a symbol that nobody watched so far.
TIMEOUT_SECONDS = 1.0
# Ticks kept for the monitor's next poll: minutes of a busy stream.
MAX_UNPOLLED = 200_000


class Stream(Protocol):
    """Prices that come by themselves, of the first source of the chain."""

    def follow(self, instruments: Collection[Instrument]) -> None:
        """Bring the prices of these from now on, and of no others."""

    def is_live(self, symbol: str) -> bool:
        """Tell whether every change of the symbol's price comes in right now."""

    def close(self) -> None:
        """Bring nothing any more."""


@dataclass(slots=True)
class _Price:
    """The latest quote of a symbol, and since when its real sources have failed."""

    quote: Quote
    arrived_at: float
    is_streamed: bool = False
    last_real: Quote | None = None
    failing_since: datetime | None = None


class LiveFeed:
    name = "live"
    remote = True

    def __init__(
        self,
        upstreams: Sequence[ResilientSource],
        instruments: Instruments,
        clock: Clock,
        *,
        interval_seconds: float,
        fallback: SimulatedFeed | None = None,
        last_quote: Callable[[str], Quote | None] = lambda _symbol: None,
    ) -> None:
        """Ask `upstreams` in their order, each `interval_seconds` for what is polled.

        `last_quote` knows what another process, the one that polls, heard of a symbol.
        """
        self.upstreams = tuple(upstreams)
        self._instruments = instruments
        self._clock = clock
        self._interval = interval_seconds
        self._fallback = fallback
        self._last_quote = last_quote
        self._stream: Stream | None = None
        self._lanes = [
            SourceWorker(each, on_quotes=self._take_polled, on_missing=self._pass_on(position))
            for position, each in enumerate(upstreams)
        ]
        self._rank = {each.source.source: position for position, each in enumerate(upstreams)}
        self._prices: dict[str, _Price] = {}
        self._preferred: frozenset[str] = frozenset()
        # When no source had a price of a symbol, by the monotonic clock.
        self._missed_at: dict[str, float] = {}
        # Symbols that requests wait for, and how many do.
        self._awaited: Counter[str] = Counter()
        self._ticks: deque[Quote] = deque(maxlen=MAX_UNPOLLED)
        self._gaps: list[Gap] = []
        self._news = threading.Condition()
        self._wake: Callable[[], None] = _nobody

    def use_stream(self, stream: Stream) -> None:
        """Poll only what `stream` does not bring."""
        self._stream = stream

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, by any thread, whenever ticks came in."""
        self._wake = wake

    def prefer(self, symbols: Collection[str]) -> None:
        """Ask the sources for these before all others, from now on."""
        self._preferred = frozenset(symbols)

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Ask the sources for `symbols`, and return what came in since the last time."""
        wanted = [each for each in map(self._instruments.by_symbol, symbols) if each]
        if self._stream:
            self._stream.follow(wanted)
        self._submit(each for each in wanted if not self._is_live(each.symbol))
        return self.collect()

    def ask(self, symbols: Collection[str]) -> None:
        """Ask the sources for `symbols`; what they answer comes in as ticks."""
        self._submit(each for each in map(self._instruments.by_symbol, symbols) if each)

    def collect(self) -> list[Quote]:
        """Return the ticks that came in since the last time, in order; ask for nothing."""
        with self._news:
            ticks = list(self._ticks)
            self._ticks.clear()
        return ticks

    def collect_gaps(self) -> list[Gap]:
        """Return the spans, ended by now, in which a symbol had no real price."""
        with self._news:
            gaps, self._gaps = self._gaps, []
        return gaps

    def latest(self, symbol: str) -> Quote | None:
        """Return the latest quote; where that is old, ask and wait a moment for a new one."""
        return self.latest_of([symbol]).get(symbol)

    def latest_of(self, symbols: Collection[str]) -> dict[str, Quote]:
        """Return the latest quotes; ask for all that are old, and wait a moment for new ones."""
        instruments = [each for each in map(self._instruments.by_symbol, symbols) if each]
        known = {each.symbol: self._known(each.symbol) for each in instruments}
        missing = [each for each in instruments if known[each.symbol] is None]
        if missing:
            self._await(missing)
            known.update({each.symbol: self._known(each.symbol) for each in missing})
        return {symbol: quote for symbol, quote in known.items() if quote}

    def _await(self, instruments: Sequence[Instrument]) -> None:
        """Ask for the prices of these first of all, and wait a moment for them."""
        asked_at = self._clock.monotonic()
        symbols = [each.symbol for each in instruments]
        with self._news:
            self._awaited.update(symbols)
        try:
            self._submit(instruments)
            with self._news:
                self._news.wait_for(
                    lambda: all(self._is_answered(symbol, asked_at) for symbol in symbols),
                    TIMEOUT_SECONDS,
                )
        finally:
            with self._news:
                self._awaited -= Counter(symbols)

    def _is_urgent(self, symbol: str) -> bool:
        return symbol in self._preferred or symbol in self._awaited

    def symbols(self) -> Collection[str]:
        """Return none: its sources may have any."""
        return ()

    def last_known(self, symbol: str) -> Quote | None:
        """Return the last quote that any process kept, from a source of this feed.

        A symbol that this process has never priced is asked for in the background.
        """
        instrument = self._instruments.by_symbol(symbol)
        if instrument and symbol not in self._prices:
            self._submit([instrument])
        return self._kept(symbol)

    def now(self) -> datetime:
        return self._clock.now()

    def skip_to(self, time: datetime) -> None:
        """Skip nothing: what comes in is of its own moment."""

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        """Return candles of a minute, the one that holds `since` included.

        Raises MarketDataUnavailable where no source answers.
        """
        whole = since.replace(second=0, microsecond=0)
        return self.history(symbol, Interval.MINUTE, whole, until)

    def history(
        self, symbol: str, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return the candles of the first source that has any.

        Raises MarketDataUnavailable where no source answers, CandlesRefused where each refuses.
        """
        instrument = self._instruments.get(symbol)
        answered = False
        may_answer_later = False
        for upstream in self.upstreams:
            if not upstream.knows(instrument):
                continue
            try:
                candles = upstream.candles(instrument, interval, since, until)
            except (HistoryRefused, SourceRefused):
                continue
            except SourceError:
                may_answer_later = True
                continue
            answered = True
            if candles:
                return candles
        if not answered and not may_answer_later:
            raise CandlesRefused(f"No source gives candles of {symbol} to this account today.")
        if not answered:
            raise MarketDataUnavailable(
                f"No source has the history of {symbol} right now. Try again in a minute."
            )
        return []

    def describe(self) -> dict[str, Any]:
        """Return the condition of each source, and of the stream, for an operator."""
        condition: dict[str, Any] = {each.name: each.describe() for each in self.upstreams}
        if self._stream:
            with self._news:
                symbols = list(self._prices)
            condition["stream"] = {"live_symbols": sum(map(self._stream.is_live, symbols))}
        return condition

    def close(self) -> None:
        """End what runs by itself."""
        if self._stream:
            self._stream.close()

    def take_streamed(self, quotes: Iterable[Quote]) -> None:
        """Take up what the stream brings."""
        self._take_in(quotes, is_streamed=True)

    def _take_polled(self, quotes: Iterable[Quote]) -> None:
        self._take_in(quotes, is_streamed=False)

    def _take_in(self, quotes: Iterable[Quote], *, is_streamed: bool) -> None:
        with self._news:
            sound = [quote for quote in quotes if is_price(quote.price)]
            taken = [quote for quote in sound if self._take(quote, is_streamed)]
            self._ticks.extend(taken)
            self._news.notify_all()
        if taken:
            self._wake()

    def _take(self, quote: Quote, is_streamed: bool) -> bool:
        price = self._prices.get(quote.symbol)
        if price is None:
            price = self._prices[quote.symbol] = _Price(quote, 0.0)
        elif not is_streamed and self._is_overtaken(quote, price):
            return False
        if price.failing_since and price.last_real:
            now = self._clock.now()
            if now - price.failing_since >= timedelta(seconds=2 * self._interval):
                # More than a hiccup: what happened meanwhile only candles can tell.
                self._gaps.append(Gap(quote.symbol, price.last_real.timestamp, now))
        price.quote = price.last_real = quote
        price.is_streamed = is_streamed
        price.arrived_at = self._clock.monotonic()
        price.failing_since = None
        return True

    def _is_overtaken(self, quote: Quote, price: _Price) -> bool:
        """Tell whether the stream, or a better source, has said something newer meanwhile."""
        if price.is_streamed and self._is_live(quote.symbol):
            return True
        last = price.last_real
        if last is None or price.failing_since is not None:
            return False
        if last.source is quote.source:
            return quote.timestamp < last.timestamp
        recent = self._clock.monotonic() - price.arrived_at < self._interval
        return recent and self._rank[last.source] < self._rank[quote.source]

    def _known(self, symbol: str) -> Quote | None:
        """Return a quote that is good enough not to ask for another."""
        with self._news:
            price = self._prices.get(symbol)
        if price and (self._is_live(symbol) or self._is_recent(price)):
            return price.quote
        return self._known_elsewhere(symbol)

    def _known_elsewhere(self, symbol: str) -> Quote | None:
        quote = self._kept(symbol)
        if quote is None:
            return None
        age = self._clock.now() - quote.timestamp
        return quote if age.total_seconds() <= 2 * self._interval else None

    def _kept(self, symbol: str) -> Quote | None:
        quote = self._last_quote(symbol)
        return quote if quote and self._is_ours(quote.source) else None

    def _is_ours(self, source: Source) -> bool:
        return source in self._rank or (source is Source.MOCK and self._fallback is not None)

    def _is_recent(self, price: _Price) -> bool:
        # A quote of the round before last still serves: one that fails is a hiccup.
        return self._clock.monotonic() - price.arrived_at <= 2 * self._interval

    def _is_live(self, symbol: str) -> bool:
        return self._stream is not None and self._stream.is_live(symbol)

    def _is_answered(self, symbol: str, asked_at: float) -> bool:
        """Return whether a price came since, or every source failed to give one."""
        price = self._prices.get(symbol)
        arrived_at = price.arrived_at if price else -inf
        return max(arrived_at, self._missed_at.get(symbol, -inf)) >= asked_at

    def _submit(self, instruments: Iterable[Instrument]) -> None:
        self._pass_on(-1)(list(instruments))

    def _pass_on(self, position: int) -> Callable[[list[Instrument]], None]:
        """Return what hands instruments to the first lanes behind `position` that know them."""

        def pass_on(instruments: list[Instrument]) -> None:
            left = instruments
            for lane in self._lanes[position + 1 :]:
                known = [each for each in left if lane.upstream.knows(each)]
                lane.submit(known, self._is_urgent)
                left = [each for each in left if not lane.upstream.knows(each)]
            if left:
                self._fall_back([each.symbol for each in left])

        return pass_on

    def _fall_back(self, symbols: Iterable[str]) -> None:
        """Note that no real source prices these now; give them simulated prices after a while."""
        now = self._clock.monotonic()
        with self._news:
            self._missed_at.update(dict.fromkeys(symbols, now))
            quotes = [quote for quote in map(self._stand_in, symbols) if quote]
            self._ticks.extend(quotes)
            self._news.notify_all()
        if quotes:
            self._wake()

    def _stand_in(self, symbol: str) -> Quote | None:
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


def _nobody() -> None:
    """Wake nobody."""
