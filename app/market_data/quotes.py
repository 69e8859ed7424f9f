"""The quote board: the latest price of each symbol that anyone cares about."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.clock import Clock
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import Quote
from app.market_data.feed import Feed
from app.market_data.guard import QuoteGuard

# Ticks of one symbol remembered for trades that were being opened while they came in.
REMEMBERED_TICKS = 256


@dataclass(slots=True)
class _Line:
    """One symbol's line on the board."""

    posted_at: float = 0.0
    ticks: deque[Quote] = field(default_factory=lambda: deque(maxlen=REMEMBERED_TICKS))


class QuoteBoard:
    """Latest quotes, posted by the monitor and fetched from the feed when asked for."""

    def __init__(
        self, feed: Feed, clock: Clock, guard: QuoteGuard, *, fresh_seconds: float
    ) -> None:
        """Serve a posted quote for `fresh_seconds`; ask the feed after that."""
        self._feed = feed
        self._clock = clock
        self.guard = guard
        self._fresh_seconds = fresh_seconds
        self._lines: dict[str, _Line] = {}

    def post(self, ticks: Iterable[Quote]) -> list[Quote]:
        """Put up, in order, the ticks that the guard admits; return these.

        The last of each symbol is its latest quote.
        """
        admitted = self.guard.admit(ticks)
        posted_at = self._clock.monotonic()
        for tick in admitted:
            line = self._lines.setdefault(tick.symbol, _Line())
            line.ticks.append(tick)
            line.posted_at = posted_at
        return admitted

    def latest(self, symbol: str) -> Quote:
        """Return the price to trade at now; raise MarketDataUnavailable where there is none."""
        line = self._lines.get(symbol)
        if line and self._clock.monotonic() - line.posted_at <= self._fresh_seconds:
            return line.ticks[-1]
        quote = self._feed.latest(symbol)
        if line and quote == line.ticks[-1]:
            # Nothing new is no news: a price that stands still is not posted again.
            return line.ticks[-1]
        if quote is not None and self.post([quote]):
            return quote
        if line and symbol in self.guard.suspicions:
            # Until the new price is confirmed, the last good one stands.
            return line.ticks[-1]
        raise MarketDataUnavailable(
            f"There is no price for {symbol} right now. Try again in a few seconds."
        )

    def posted_after(self, quote: Quote) -> list[Quote]:
        """Return the ticks of the same symbol put up after `quote`, in order."""
        line = self._lines.get(quote.symbol)
        later: list[Quote] = []
        for tick in reversed(list(line.ticks) if line else []):
            if tick is quote:
                break
            later.append(tick)
        return later[::-1]
