"""The quote board: the latest price of each symbol that anyone cares about.

`latest` and `ask` are for orders and for one symbol: they may ask the feed and wait. `known_quotes`
is for everything that only reads: it takes any number of symbols and never waits for a price.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from app.clock import Clock
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import Quote, SeenQuote
from app.market_data.feed import Feed
from app.market_data.instruments.registry import DEFAULT_INDICES
from app.market_data.tick_filter import RejectReason, TickFilter

# Ticks of one symbol remembered for trades that were being opened while they came in.
REMEMBERED_TICKS = 256


@dataclass(frozen=True, slots=True)
class KnownQuote:
    """The last quote of a symbol. `stale` if it, or its source's last answer, is too old."""

    quote: Quote
    stale: bool


@dataclass(slots=True)
class _SymbolTicks:
    """One symbol's line on the board."""

    posted_at: float = 0.0
    ticks: deque[Quote] = field(default_factory=lambda: deque(maxlen=REMEMBERED_TICKS))


@dataclass(frozen=True, slots=True)
class LastPrice:
    """The last price known of a symbol.

    `is_confirmed`: the feed has just said that it is still the last one. `age` counts trading
    hours where the price is real; up to `oldest` it is acted on.
    """

    quote: Quote
    is_confirmed: bool
    age: timedelta
    oldest: timedelta

    @property
    def is_too_old(self) -> bool:
        """Whether no order is taken at it. A recording's and a simulation's times do not count."""
        return self.quote.source.is_real and self.age > self.oldest

    @property
    def is_stale(self) -> bool:
        """Whether it may no longer be the price."""
        return self.is_too_old or not self.is_confirmed


class QuoteBoard:
    """Latest quotes, posted by the monitor and fetched from the feed when asked for."""

    def __init__(
        self,
        feed: Feed,
        clock: Clock,
        guard: TickFilter,
        *,
        fresh_seconds: float,
        stale_seconds: float = 30,
        stored: Callable[[Collection[str]], Mapping[str, SeenQuote]] = lambda _symbols: {},
    ) -> None:
        """Serve a posted quote for `fresh_seconds`; ask the feed after that.

        A known quote is stale after `stale_seconds`. `stored` returns the quotes that any
        process, or an earlier run, saved.
        """
        self._feed = feed
        self._clock = clock
        self.guard = guard
        self._fresh_seconds = fresh_seconds
        self._stale_after = timedelta(seconds=stale_seconds)
        self._stored = stored
        self._lines: dict[str, _SymbolTicks] = {}

    def post(self, ticks: Iterable[Quote]) -> list[Quote]:
        """Put up, in order, the ticks that the guard admits; return these.

        The last of each symbol is its latest quote.
        """
        admitted = self.guard.admit(ticks)
        posted_at = self._clock.monotonic()
        for tick in admitted:
            line = self._lines.setdefault(tick.symbol, _SymbolTicks())
            line.ticks.append(tick)
            line.posted_at = posted_at
        return admitted

    def latest(self, symbol: str) -> Quote:
        """Return the price to act at now; raise MarketDataUnavailable where there is none.

        It may wait for a source, once.
        """
        quote = self.last_traded(symbol)
        if self.guard.holds(quote):
            raise _no_price(symbol)
        return quote

    def last_traded(self, symbol: str) -> Quote:
        """Return the last traded price, however old, as the feed confirms it now.

        It may wait for a source, once. Raises MarketDataUnavailable where no source answers.
        """
        price = self.ask(symbol)
        if not price.is_confirmed:
            raise _no_price(symbol)
        return price.quote

    def sample(self) -> Quote:
        """Return a price that shows that the feed works: an index's, else any that it has.

        It may wait for a source, once. Raises MarketDataUnavailable where there is none.
        """
        index = DEFAULT_INDICES[0]
        fresh = map(self._fresh, (*DEFAULT_INDICES, *list(self._lines)))
        if self._feed.remote and (quote := next(filter(None, fresh), None)):
            return quote
        try:
            return self.latest(index)
        except MarketDataUnavailable:
            if self._feed.remote:
                raise
        for symbol in self._feed.symbols():
            price = self.last_known(symbol)
            if price and price.is_confirmed:
                return price.quote
        raise _no_price(index)

    def ask(self, symbol: str) -> LastPrice:
        """Return the last price, however old; where it may be outdated, ask the feed once.

        Raises MarketDataUnavailable where no price was ever known.
        """
        if quote := self._fresh(symbol):
            return self._judge(quote, is_confirmed=True)
        if quote := self._confirmed(symbol, self._feed.latest(symbol)):
            return self._judge(quote, is_confirmed=True)
        price = self.last_known(symbol)
        if price is None:
            raise _no_price(symbol)
        return price

    def confirmed_prices(self, symbols: Iterable[str]) -> dict[str, LastPrice]:
        """Return the last traded prices, however old, of those symbols that the feed has one of.

        It may wait for a source, once for all of them.
        """
        quotes = {symbol: self._fresh(symbol) for symbol in symbols}
        answers = self._feed.latest_of([each for each, quote in quotes.items() if not quote])
        for symbol, answer in answers.items():
            quotes[symbol] = self._confirmed(symbol, answer)
        return {
            symbol: self._judge(quote, is_confirmed=True)
            for symbol, quote in quotes.items()
            if quote
        }

    def last_known(self, symbol: str) -> LastPrice | None:
        """Return the last price known, however old. Never waits for a source."""
        if quote := self._fresh(symbol):
            return self._judge(quote, is_confirmed=True)
        known = self._feed.last_known(symbol)
        if known and not self._feed.remote:
            confirmed = self._confirmed(symbol, known)
            return self._judge(confirmed, is_confirmed=True) if confirmed else None
        line = self._lines.get(symbol)
        candidates = [line.ticks[-1] if line else None, known, self._held_as_old(symbol)]
        quotes = [each for each in candidates if each]
        if not quotes:
            return None
        return self._judge(max(quotes, key=lambda each: each.timestamp), is_confirmed=False)

    def _fresh(self, symbol: str) -> Quote | None:
        line = self._lines.get(symbol)
        if line and self._is_fresh(line):
            return line.ticks[-1]
        return None

    def _confirmed(self, symbol: str, quote: Quote | None) -> Quote | None:
        """Return the last traded price, now that the feed has answered `quote`."""
        line = self._lines.get(symbol)
        if quote is None:
            return None
        if line and quote == line.ticks[-1]:
            # Nothing new is no news: a price that stands still is not posted again.
            return line.ticks[-1]
        if self.post([quote]):
            return quote
        if held := self._held_as_old(symbol):
            return held
        if line and symbol in self.guard.suspicions:
            # Until the new price is confirmed, the last good one stands.
            return line.ticks[-1]
        return None

    def _held_as_old(self, symbol: str) -> Quote | None:
        """Return the last trade of a share that has not traded for long."""
        suspicion = self.guard.suspicions.get(symbol)
        if suspicion and suspicion.doubt is RejectReason.STALE and suspicion.quote.source.is_real:
            return suspicion.quote
        return None

    def _judge(self, quote: Quote, *, is_confirmed: bool) -> LastPrice:
        return LastPrice(
            quote,
            is_confirmed=is_confirmed,
            age=self.guard.age(quote),
            oldest=self.guard.oldest(quote),
        )

    def ticks_since(self, quote: Quote) -> list[Quote]:
        """Return the ticks of the same symbol put up after `quote`, in order."""
        line = self._lines.get(quote.symbol)
        later: list[Quote] = []
        for tick in reversed(list(line.ticks) if line else []):
            if tick is quote:
                return later[::-1]
            later.append(tick)
        # It made room for later ones, or was never put up.
        return [each for each in later[::-1] if each.timestamp >= quote.timestamp]

    def known_quotes(self, symbols: Iterable[str]) -> dict[str, KnownQuote]:
        """Return the last quote of each symbol that ever had one, without waiting for any."""
        return {
            symbol: KnownQuote(each.quote, self._is_stale(each))
            for symbol, each in self.seen_quotes(symbols).items()
        }

    def seen_quotes(self, symbols: Iterable[str]) -> dict[str, SeenQuote]:
        """Return the last quotes as `known_quotes` does, and when their sources last gave them."""
        wanted = list(dict.fromkeys(symbols))
        seen: dict[str, SeenQuote] = {}
        unsure: list[str] = []
        for symbol in wanted:
            line = self._updated_line(symbol)
            if found := self._seen(symbol, line):
                seen[symbol] = found
            if line is None or not self._is_fresh(line):
                unsure.append(symbol)
        for symbol, stored in self._stored(unsure).items() if unsure else ():
            if symbol not in seen or stored.seen_at > seen[symbol].seen_at:
                seen[symbol] = stored
        return {symbol: seen[symbol] for symbol in wanted if symbol in seen}

    def _updated_line(self, symbol: str) -> _SymbolTicks | None:
        """Return the symbol's line, updated first if the feed can do that without waiting."""
        line = self._lines.get(symbol)
        if not self._feed.remote and not (line and self._is_fresh(line)):
            quote = self._feed.latest(symbol)
            if quote and line and quote == line.ticks[-1]:
                line.posted_at = self._clock.monotonic()
            elif quote:
                self.post([quote])
        return self._lines.get(symbol)

    def _is_fresh(self, line: _SymbolTicks) -> bool:
        return self._clock.monotonic() - line.posted_at <= self._fresh_seconds

    def _seen(self, symbol: str, line: _SymbolTicks | None) -> SeenQuote | None:
        held = self._held_as_old(symbol)
        if held and (line is None or held.timestamp > line.ticks[-1].timestamp):
            return SeenQuote(held, self._clock.now())
        if line is None:
            return None
        unseen = timedelta(seconds=self._clock.monotonic() - line.posted_at)
        return SeenQuote(line.ticks[-1], self._clock.now() - unseen)

    def _is_stale(self, seen: SeenQuote) -> bool:
        unseen = self._clock.now() - seen.seen_at
        return unseen > self._stale_after or self.guard.is_older(seen.quote, self._stale_after)


def _no_price(symbol: str) -> MarketDataUnavailable:
    return MarketDataUnavailable(
        f"There is no price for {symbol} right now. Try again in a few seconds."
    )
