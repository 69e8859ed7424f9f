"""The watchlist: which symbols the monitor has to ask for."""

from __future__ import annotations

import threading
from collections import Counter

from app.market_data.instruments import DEFAULT_INDICES


class Watchlist:
    """The default indices, what has been traded, and what sockets follow."""

    def __init__(self) -> None:
        self.traded: set[str] = set()
        # By sockets of other processes.
        self.followed_elsewhere: set[str] = set()
        self._followers: Counter[str] = Counter()
        self._lock = threading.Lock()

    def follow(self, symbol: str) -> None:
        """Count one more socket that wants this symbol polled."""
        with self._lock:
            self._followers[symbol] += 1

    def unfollow(self, symbol: str) -> None:
        """Count one socket less."""
        with self._lock:
            self._followers[symbol] -= 1
            if self._followers[symbol] <= 0:
                del self._followers[symbol]

    def symbols(self) -> set[str]:
        """Return every symbol to poll."""
        with self._lock:
            return {
                *DEFAULT_INDICES,
                *self.traded,
                *self.followed_elsewhere,
                *self._followers,
            }

    @property
    def followed_here(self) -> list[str]:
        """The symbols that sockets of this process follow."""
        with self._lock:
            return list(self._followers)
