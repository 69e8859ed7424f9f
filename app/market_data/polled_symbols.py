"""The watchlist: which symbols the monitor has to ask for."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from math import inf

from app.market_data.instruments.registry import DEFAULT_INDICES

# So long a process relies on a mark that it made in the database (see app/trades/watching.py).
MARK_SECONDS = 600.0
# Symbols polled in one pass that are followed by sockets, without a trade or an alert.
MAX_FOLLOWED = 500


class PolledSymbols:
    """The default indices, what was traded, what alerts wait on, and what sockets follow."""

    def __init__(self) -> None:
        self.traded: set[str] = set()
        self.alerted: set[str] = set()
        # By sockets of other processes.
        self.followed_elsewhere: set[str] = set()
        self._followers: Counter[str] = Counter()
        # When this process marked a symbol as traded, by a clock that cannot be set.
        self._marked_at: dict[str, float] = {}
        self._alerted_at: dict[str, float] = {}
        # The last of the symbols only followed that had its turn, where these take turns.
        self._last_polled = ""
        self._lock = threading.Lock()

    def follow(self, symbol: str) -> None:
        """Count one more socket that wants this symbol polled."""
        with self._lock:
            self._followers[symbol] += 1

    def try_follow(self, symbols: Iterable[str], budget: int) -> bool:
        """Count one more socket for each of these symbols.

        Count none and return False if more than `budget` symbols would be followed in all.
        """
        wanted = set(symbols)
        with self._lock:
            new = wanted - self._followers.keys() - set(DEFAULT_INDICES)
            if new and len(self._followers) + len(new) > budget:
                return False
            self._followers.update(wanted)
            return True

    def unfollow(self, symbol: str) -> None:
        """Count one socket less."""
        with self._lock:
            self._followers[symbol] -= 1
            if self._followers[symbol] <= 0:
                del self._followers[symbol]

    def has_mark(self, symbol: str, time: float) -> bool:
        """Tell whether this process marked the symbol lately; `time` is seconds, monotonic."""
        with self._lock:
            return time - self._marked_at.get(symbol, -inf) < MARK_SECONDS

    def mark_traded(self, symbol: str, time: float) -> None:
        """Poll the symbol from now on; its mark is in the database since `time` at least."""
        with self._lock:
            self._marked_at[symbol] = time
            self.traded.add(symbol)

    def set_traded(self, symbols: Iterable[str], time: float) -> None:
        """Poll these, which the database has marks of, in place of those it had before.

        What this process marked lately stays: they may have been read before that.
        """
        with self._lock:
            recent = {each: at for each, at in self._marked_at.items() if time - at < MARK_SECONDS}
            self._marked_at = recent
            self.traded = {*symbols, *recent}

    def mark_alerted(self, symbol: str, time: float) -> None:
        """Poll the symbol for an alert from now on; its mark is in the database already."""
        with self._lock:
            self._alerted_at[symbol] = time
            self.alerted.add(symbol)

    def set_alerted(self, symbols: Iterable[str], asked_at: float) -> None:
        """Poll these, which the database had marks of when it was asked at that time.

        What this process marked since stays.
        """
        with self._lock:
            since = {each: at for each, at in self._alerted_at.items() if at >= asked_at}
            self._alerted_at = since
            self.alerted = {*symbols, *since}

    @property
    def needed(self) -> set[str]:
        """The symbols that are polled whatever sockets follow: of trades, alerts and indices."""
        with self._lock:
            return self._needed()

    def _needed(self) -> set[str]:
        return {*DEFAULT_INDICES, *self.traded, *self.alerted}

    def symbols(self) -> set[str]:
        """Return the symbols to poll now.

        Of those that are only followed MAX_FOLLOWED at most; where there are more, the next
        ones with each call, so that each has its turn.
        """
        with self._lock:
            needed = self._needed()
            followed = sorted({*self.followed_elsewhere, *self._followers} - needed)
        if len(followed) <= MAX_FOLLOWED:
            return needed.union(followed)
        begin = bisect_right(followed, self._last_polled)
        chosen = [*followed[begin:], *followed[:begin]][:MAX_FOLLOWED]
        self._last_polled = chosen[-1]
        return needed.union(chosen)

    @property
    def followed_here(self) -> list[str]:
        """The symbols that sockets of this process follow, those of most sockets first."""
        with self._lock:
            return [symbol for symbol, _ in self._followers.most_common(MAX_FOLLOWED)]
