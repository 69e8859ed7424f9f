"""Quotes of the process that polls, for the processes that do not.

The polling process stores its ticks before it settles them (app/monitor/loop.py). So a trade that
is opened here, at a stored quote, meets each later tick: either the polling process finds the trade
in the database, or `ticks` here has the tick after the trade was written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

from app.clock import Clock
from app.domain.quote import Quote, SeenQuote

# How long a request waits for the first price of a symbol.
TIMEOUT_SECONDS = 2.0
CHECK_SECONDS = 0.1

Stored = Callable[[Collection[str]], Mapping[str, SeenQuote]]


class SharedQuotes:
    def __init__(
        self,
        clock: Clock,
        *,
        fresh_seconds: float,
        stored: Stored,
        stored_ticks: Callable[[Collection[str]], Mapping[str, list[Quote]]],
        newest: Callable[[], SeenQuote | None],
        ask: Callable[[Collection[str]], bool],
    ) -> None:
        """Serve stored quotes for `fresh_seconds` after their source gave them.

        `ask` has the polling process store newer ones, and returns whether it has answered.
        """
        self._clock = clock
        self._fresh = timedelta(seconds=fresh_seconds)
        self._stored = stored
        self.ticks = stored_ticks
        self._newest = newest
        self._ask = ask

    def confirmed(self, symbols: Collection[str]) -> dict[str, Quote]:
        """Return the quotes at which the polling process would trade now; wait once for all.

        Each has its place in the order of that process's ticks.
        """
        quotes = self._find_fresh(symbols)
        missing = [symbol for symbol in symbols if symbol not in quotes]
        if not missing:
            return quotes
        if self._ask(missing):
            return quotes | self._find_fresh(missing)
        # Without Redis, nothing announces the quotes.
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while missing and time.monotonic() < deadline:
            time.sleep(CHECK_SECONDS)
            quotes |= self._find_fresh(missing)
            missing = [symbol for symbol in missing if symbol not in quotes]
        return quotes

    def sample(self, preferred: Collection[str]) -> Quote | None:
        """Return a fresh quote of one of these symbols, else of any other, None without one."""
        quotes = self._find_fresh(preferred)
        for symbol in preferred:
            if symbol in quotes:
                return quotes[symbol]
        newest = self._newest()
        return newest.quote if newest and self._is_fresh(newest) else None

    def _find_fresh(self, symbols: Collection[str]) -> dict[str, Quote]:
        stored = self._stored(symbols)
        return {symbol: seen.quote for symbol, seen in stored.items() if self._is_fresh(seen)}

    def _is_fresh(self, seen: SeenQuote) -> bool:
        # One without a posting was stored for a restart, and its ticks were not.
        return seen.quote.posting is not None and self._clock.now() - seen.seen_at <= self._fresh
