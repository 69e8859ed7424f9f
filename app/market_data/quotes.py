"""The quote board: the latest price of each symbol.

`latest`, `require` and `confirmed` may ask the feed and wait. `known` never waits for a price.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from app.clock import Clock
from app.domain.candle import Candle, sound_candles
from app.domain.day import details_after
from app.domain.errors import MarketDataUnavailable, PriceTooOld
from app.domain.quote import NO_DETAILS, Posting, Quote, SeenQuote, Source
from app.market_data.feed import Feed
from app.market_data.instruments.registry import DEFAULT_INDICES
from app.market_data.shared_quotes import SharedQuotes
from app.market_data.tick_filter import RejectReason, TickFilter

# Ticks kept of each symbol, for trades that are being opened while ticks arrive.
KEPT_TICKS = 256
# From one posting to the next: the ticks that a quote on demand overtakes have room in between.
ROOM = 1_000_000
# Quotes kept that were fetched on demand, until the monitor takes them.
KEPT_FETCHED = 1_000


@dataclass(frozen=True, slots=True)
class KnownQuote(SeenQuote):
    """The last quote of a symbol. `stale` if it, or its source's last response, is too old."""

    stale: bool


@dataclass(slots=True)
class _SymbolTicks:
    updated_at: float = 0.0
    ticks: deque[Quote] = field(default_factory=lambda: deque(maxlen=KEPT_TICKS))

    def has(self, quote: Quote) -> bool:
        """Return whether the quote is the last one, or an older one that was posted already."""
        last = self.ticks[-1]
        return quote == last or (quote.timestamp < last.timestamp and quote in self.ticks)

    def update_details(self, quote: Quote) -> None:
        """Replace the details of the last quote by those of the same one, received again."""
        if quote == self.ticks[-1] and quote.details is not NO_DETAILS:
            self.ticks[-1] = replace(self.ticks[-1], details=quote.details)


class QuoteBoard:
    """Latest quotes, updated by the monitor, and fetched from the feed on demand."""

    def __init__(
        self,
        feed: Feed,
        clock: Clock,
        tick_filter: TickFilter,
        *,
        fresh_seconds: float,
        stale_seconds: float = 30,
        stored: Callable[[Collection[str]], Mapping[str, SeenQuote]] = lambda _symbols: {},
        shared: SharedQuotes | None = None,
    ) -> None:
        """Serve a quote for `fresh_seconds`; ask the feed after that.

        A known quote is stale after `stale_seconds`. `stored` returns the quotes that any
        process, or an earlier run, saved. Of symbols that another process polls, its quotes are
        served: those that are `shared`.
        """
        self._feed = feed
        self._clock = clock
        self.tick_filter = tick_filter
        self._fresh_seconds = fresh_seconds
        self._stale_after = timedelta(seconds=stale_seconds)
        self._stored = stored
        self._shared = shared
        self._symbols: dict[str, _SymbolTicks] = {}
        # Whether the monitor of this process polls a symbol, rather than that of another.
        self.is_polled: Callable[[str], bool] = lambda _symbol: True
        # The end of the last time that the monitor settled without posting its ticks.
        self._unposted_until: datetime | None = None
        # The name of its postings.
        self.id = secrets.token_hex(8)
        self._numbers = count(ROOM, ROOM)
        # The quotes fetched on demand since the last ticks, by identity: these may include them.
        self._fetched: dict[int, tuple[Quote, Posting]] = {}
        # Those of them that were posted: the feed's quote and the posted one, by identity.
        self._posted_on_demand: dict[int, tuple[Quote, Quote]] = {}
        self._lock = threading.Lock()

    def update(self, ticks: Sequence[Quote]) -> list[Quote]:
        """Post the ticks that pass the filter, in order, and return them with their postings."""
        return self.receive(lambda: ticks)

    def receive(self, collect: Callable[[], Sequence[Quote]]) -> list[Quote]:
        """Post the ticks that `collect` returns, as `update` does.

        No quote is posted on demand in between, so none overtakes the collected ticks.
        """
        with self._lock:
            ticks = collect()
            return self._post(ticks, self._next_postings(ticks))

    def take_fetched(self) -> list[Quote]:
        """Return the quotes, since the last call, that were posted on demand and are no ticks.

        Those of a remote feed arrive as ticks as well.
        """
        with self._lock:
            fetched, self._posted_on_demand = self._posted_on_demand, {}
        return [] if self._feed.remote else [posted for _, posted in fetched.values()]

    def latest(self, symbol: str) -> Quote:
        """Return the last price, confirmed or not; ask the feed at most once.

        Raises MarketDataUnavailable if there was never a price.
        """
        if quote := self.confirmed([symbol]).get(symbol):
            return quote
        follows = self._follows(symbol)
        stored = self._stored([symbol]).get(symbol) if follows or self._feed.remote else None
        own = None if follows else self._seen(symbol)
        seen = [known.quote for known in (own, stored) if known]
        if not seen:
            raise no_price(symbol)
        return max(seen, key=lambda candidate: candidate.timestamp)

    def require(self, symbol: str) -> Quote:
        """Return the last price if the feed confirms it, however old; ask at most once.

        Raises MarketDataUnavailable if no source has one.
        """
        quote = self.confirmed([symbol]).get(symbol)
        if quote is None:
            raise no_price(symbol)
        return quote

    def require_recent(self, symbol: str) -> Quote:
        """Return the last price for an order, as `require` does.

        Raises PriceTooOld for a real price that is older, in trading time, than the tick filter
        allows. Recorded and simulated prices are never too old.
        """
        quote = self.require(symbol)
        if quote.source.is_real:
            age, limit = self.tick_filter.age(quote), self.tick_filter.max_age(quote)
            if age > limit:
                raise PriceTooOld(symbol, quote.price, quote.timestamp, age, limit)
        return quote

    def confirmed(self, symbols: Iterable[str]) -> dict[str, Quote]:
        """Return the prices that the feed confirms, however old; ask at most once for all."""
        followed, own = self._divide(symbols)
        if self._shared and followed:
            return self._shared.confirmed(followed) | (self.confirmed(own) if own else {})
        quotes = {symbol: self._fresh(symbol) for symbol in own}
        missing = [symbol for symbol, quote in quotes.items() if not quote]
        if missing:
            for symbol, quote in self._feed.latest_of(missing).items():
                quotes[symbol] = self._confirm(symbol, quote)
        return {symbol: quote for symbol, quote in quotes.items() if quote}

    def known(self, symbols: Iterable[str]) -> dict[str, KnownQuote]:
        """Return the last quote of each symbol that ever had one, without waiting for a source."""
        seen: dict[str, SeenQuote] = {}
        wanted = list(dict.fromkeys(symbols))
        outdated, own = self._divide(wanted)
        for symbol in own:
            if not self._fresh(symbol):
                self._update_locally(symbol)
            if quote := self._seen(symbol):
                seen[symbol] = quote
            if not self._fresh(symbol):
                outdated.append(symbol)
        for symbol, stored in self._stored(outdated).items() if outdated else ():
            if symbol not in seen or stored.seen_at > seen[symbol].seen_at:
                seen[symbol] = stored
        limit, now = self._stale_after, self._clock.now()
        return {
            symbol: KnownQuote(
                entry.quote,
                entry.seen_at,
                now - entry.seen_at > limit or self.tick_filter.is_older(entry.quote, limit),
            )
            for symbol in wanted
            if (entry := seen.get(symbol))
        }

    def ticks_since(self, quote: Quote) -> list[Quote]:
        """Return the ticks of the same symbol that were posted after `quote`, in order.

        On the board of this process and on that of another one, if this process has begun or ended
        to poll the symbol since.
        """
        posting, symbol = quote.posting, quote.symbol
        ticks = self.ticks(symbol)
        if posting is None:
            return [tick for tick in ticks if tick.timestamp >= quote.timestamp]
        entry, follows = self._symbols.get(symbol), self._follows(symbol)
        if follows and posting.board == self.id and entry:
            others = [tick for tick in ticks if tick.posting and tick.posting.board != self.id]
            ticks = [*entry.ticks, *others]
        elif not follows and posting.board != self.id and self._shared:
            ticks = [*self._shared.ticks([symbol]).get(symbol, ()), *ticks]
        return [tick for tick in ticks if _is_after(tick, quote)]

    def skip_to(self, time: datetime) -> None:
        """Note that the ticks up to `time` are not posted, before they are settled otherwise."""
        self._unposted_until = time

    def unposted_since(self, quote: Quote) -> list[Candle]:
        """Return the candles of the ticks after `quote` that were not posted.

        Empty for a source that would have to be waited for: its candles are of whole minutes, and
        say nothing about the moments between a quote and a commit.
        """
        until = self._unposted_until
        if until is None or until <= quote.timestamp or self._feed.remote:
            return []
        return sound_candles(self._feed.candles(quote.symbol, quote.timestamp, until))

    def ticks(self, symbol: str) -> list[Quote]:
        """Return the last ticks of a symbol, in order."""
        return self.ticks_by_symbol([symbol]).get(symbol, [])

    def ticks_by_symbol(self, symbols: Iterable[str]) -> dict[str, list[Quote]]:
        """Return the last ticks of each symbol that has some, in order."""
        followed, own = self._divide(symbols)
        ticks = dict(self._shared.ticks(followed)) if self._shared and followed else {}
        for symbol in own:
            if entry := self._symbols.get(symbol):
                ticks[symbol] = list(entry.ticks)
        return ticks

    def sample(self) -> Quote:
        """Return a price that shows that the feed works: of an index if possible.

        The feed is asked at most once. Raises MarketDataUnavailable if there is none.
        """
        index = DEFAULT_INDICES[0]
        if self._shared and self._follows(index):
            if quote := self._shared.sample(DEFAULT_INDICES):
                return quote
            raise no_price(index)
        if self._feed.remote:
            fresh = map(self._fresh, (*DEFAULT_INDICES, *list(self._symbols)))
            if quote := next(filter(None, fresh), None):
                return quote
        symbols = [index] if self._feed.remote else [index, *self._feed.symbols()]
        for symbol in symbols:
            quote = self.confirmed([symbol]).get(symbol)
            if quote and not self.tick_filter.is_pending(quote):
                return quote
        raise no_price(index)

    def newest(self) -> dict[Source, Quote]:
        """Return the newest quote of each source in this process."""
        newest: dict[Source, Quote] = {}
        for entry in list(self._symbols.values()):
            quote = entry.ticks[-1]
            if quote.source not in newest or quote.timestamp > newest[quote.source].timestamp:
                newest[quote.source] = quote
        return newest

    def _follows(self, symbol: str) -> bool:
        """Return whether the quotes of another process are served."""
        return self._shared is not None and not self.is_polled(symbol)

    def _divide(self, symbols: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return the symbols that another process polls, and the others."""
        followed: list[str] = []
        own: list[str] = []
        for symbol in symbols:
            (followed if self._follows(symbol) else own).append(symbol)
        return followed, own

    def _fresh(self, symbol: str) -> Quote | None:
        entry = self._symbols.get(symbol)
        if entry and self._clock.monotonic() - entry.updated_at <= self._fresh_seconds:
            return entry.ticks[-1]
        return None

    def _confirm(self, symbol: str, quote: Quote) -> Quote | None:
        """Return the last price after the feed has returned `quote`."""
        with self._lock:
            posting = self._next_fetched_posting(quote)
            entry = self._symbols.get(symbol)
            if entry and entry.has(quote):
                # A known price is no new tick, but bids and asks change without a trade.
                entry.update_details(quote)
                return replace(entry.ticks[-1], posting=posting)
            if posted := self._post_on_demand(quote, posting):
                return posted
            if stale := self._stale_trade(symbol):
                return replace(stale, posting=posting)
            # The last good price stays valid until the rejected one is confirmed.
            is_valid = entry and symbol in self.tick_filter.pending
            return replace(entry.ticks[-1], posting=posting) if entry and is_valid else None

    def _post_on_demand(self, quote: Quote, posting: Posting) -> Quote | None:
        posted = self._post([quote], [posting])
        if posted and len(self._posted_on_demand) < KEPT_FETCHED:
            self._posted_on_demand[id(quote)] = quote, posted[0]
        return posted[0] if posted else None

    def _next_fetched_posting(self, quote: Quote) -> Posting:
        posting = self._next_posting()
        if self.is_polled(quote.symbol):
            self._fetched.setdefault(id(quote), (quote, posting))
        return posting

    def _post(self, ticks: Sequence[Quote], postings: Sequence[Posting]) -> list[Quote]:
        updated_at = self._clock.monotonic()
        posted = []
        for tick, posting in zip(ticks, postings, strict=True):
            if not self.tick_filter.admit([tick]):
                continue
            entry = self._symbols.setdefault(tick.symbol, _SymbolTicks())
            details = details_after(entry.ticks[-1], tick) if entry.ticks else tick.details
            entry.ticks.append(replace(tick, posting=posting, details=details))
            entry.updated_at = updated_at
            posted.append(entry.ticks[-1])
        return posted

    def _next_postings(self, ticks: Sequence[Quote]) -> list[Posting]:
        """Return the postings of ticks from the feed.

        A quote fetched on demand overtook the ticks that the feed had received before it. They get
        the numbers below its own, in their order, because they precede what began at it.
        """
        fetched, self._fetched = self._fetched, {}
        following: dict[str, Posting] = {}
        postings = []
        for tick in reversed(ticks):
            self._posted_on_demand.pop(id(tick), None)
            if found := fetched.get(id(tick)):
                following[tick.symbol] = found[1]
            elif later := following.get(tick.symbol):
                following[tick.symbol] = replace(later, number=later.number - 1)
            postings.append(following.get(tick.symbol))
        return [posting or self._next_posting() for posting in reversed(postings)]

    def _next_posting(self) -> Posting:
        return Posting(self.id, next(self._numbers))

    def _stale_trade(self, symbol: str) -> Quote | None:
        """Return the last trade of a share that has not traded for long."""
        pending = self.tick_filter.pending.get(symbol)
        if pending and pending.reason is RejectReason.STALE and pending.quote.source.is_real:
            return pending.quote
        return None

    def _update_locally(self, symbol: str) -> None:
        """Ask the feed if it is local, so that it never waits."""
        quote = None if self._feed.remote else self._feed.latest(symbol)
        if quote is None:
            return
        with self._lock:
            entry = self._symbols.get(symbol)
            if entry and quote == entry.ticks[-1]:
                entry.updated_at = self._clock.monotonic()
            else:
                self._post_on_demand(quote, self._next_fetched_posting(quote))

    def _seen(self, symbol: str) -> SeenQuote | None:
        """Return the last quote that this process has, and when the feed last gave it."""
        now = self._clock.now()
        entry = self._symbols.get(symbol)
        stale = self._stale_trade(symbol)
        if stale and (entry is None or stale.timestamp > entry.ticks[-1].timestamp):
            return SeenQuote(stale, now)
        if entry is None:
            return None
        since = timedelta(seconds=self._clock.monotonic() - entry.updated_at)
        return SeenQuote(entry.ticks[-1], now - since)


def _is_after(tick: Quote, quote: Quote) -> bool:
    """Return whether a tick came after a quote that was posted.

    Another board may still have the ticks of a time long before.
    """
    if tick.precedes(quote.source, quote.timestamp, quote.posting):
        return False
    is_on_same_board = tick.posting and quote.posting and tick.posting.board == quote.posting.board
    return bool(is_on_same_board) or tick.timestamp >= quote.timestamp


def no_price(symbol: str) -> MarketDataUnavailable:
    """Return the error of a symbol that has no price."""
    return MarketDataUnavailable(
        f"There is no price for {symbol} right now. Try again in a few seconds."
    )
