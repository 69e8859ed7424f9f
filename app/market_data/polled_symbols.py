"""The symbols that the monitor polls, each with timestamped marks in the database.

A mark is written before its trade or alert, so no crash in between leaves one without prices. A
process reuses its own mark of a trade for MARK_REUSE, and checks again after the trade was written.
A mark is removed after MARK_LIFETIME, which is much longer, if the symbol has no active trades. A
trade opened during that check therefore has a newer mark, and the removal skips it.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from bson import ObjectId

from app.market_data.instruments.registry import DEFAULT_INDICES
from app.models import Followers, SymbolState, Trade

MARK_REUSE = timedelta(minutes=10)
MARK_LIFETIME = timedelta(hours=1)
# Maximum symbols in one pass that only sockets follow.
MAX_FOLLOWED = 500
# For how long a symbol that a request asked for is polled, and the maximum number of them.
WANTED_SECONDS = 60.0
MAX_WANTED = 100


def _is_any(_symbol: str) -> bool:
    return True


class PolledSymbols:
    """The default indices, and the symbols with trades, alerts or followers."""

    def __init__(self) -> None:
        self.traded: set[str] = set()
        self.alerted: set[str] = set()
        # By sockets of other processes.
        self.followed_elsewhere: set[str] = set()
        self._followers: Counter[str] = Counter()
        # When this process last marked a symbol as traded.
        self._traded_at: dict[str, datetime] = {}
        # Marked while the marks are read from the database.
        self._newly_traded: set[str] = set()
        self._newly_alerted: set[str] = set()
        self._last_polled = ""
        # Symbols that requests of this process asked for, the latest last.
        self._wanted: dict[str, float] = {}
        self._process = ObjectId()
        self._lock = threading.Lock()

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
        """Count one socket less for the symbol."""
        with self._lock:
            self._followers[symbol] -= 1
            if self._followers[symbol] <= 0:
                del self._followers[symbol]

    def mark_traded(self, symbol: str, now: datetime) -> None:
        """Have the symbol polled for a trade, unless this process did so within MARK_REUSE."""
        with self._lock:
            marked_at = self._traded_at.get(symbol)
        # A mark in the future was made before the clock was set back.
        if marked_at is not None and timedelta(0) <= now - marked_at < MARK_REUSE:
            return
        SymbolState.mark_traded(symbol, now)
        with self._lock:
            self._traded_at[symbol] = now
            self._newly_traded.add(symbol)
            self.traded.add(symbol)

    def mark_alerted(self, symbol: str, now: datetime) -> None:
        """Have the symbol polled for an alert."""
        # For each alert: deleting the last alert on the symbol may remove its mark at any moment.
        SymbolState.mark_alerted(symbol, now)
        with self._lock:
            self._newly_alerted.add(symbol)
            self.alerted.add(symbol)

    def load(self) -> Followers:
        """Read the marks of the database, and what other processes need; return the latter.

        Raises PyMongoError.
        """
        self.begin_refresh()
        marks, followers = SymbolState.find_marks(), self.find_followers()
        self.refresh(marks.traded, marks.alerted, followers.symbols)
        return followers

    def begin_refresh(self) -> None:
        """Prepare for `refresh`: call it before the marks are read from the database."""
        with self._lock:
            self._newly_traded.clear()
            self._newly_alerted.clear()

    def refresh(self, traded: set[str], alerted: set[str], followed: set[str]) -> None:
        """Take over the marks of the database, and those made since `begin_refresh`."""
        with self._lock:
            self.traded = traded | self._newly_traded
            self.alerted = alerted | self._newly_alerted
            self.followed_elsewhere = followed

    def remove_old_marks(self, now: datetime) -> int:
        """Remove the old marks of symbols without active trades, and renew the other old marks.

        Return how many were removed. Raises PyMongoError.
        """
        before = now - MARK_LIFETIME
        removed = 0
        # The indices are always polled, and have the most trades to search.
        for symbol in SymbolState.find_traded(before=before) - set(DEFAULT_INDICES):
            if Trade.has_active(symbol):
                SymbolState.mark_traded(symbol, now)
            else:
                removed += SymbolState.unmark_traded(symbol, before)
        return removed

    def needed(self, is_own: Callable[[str], bool] = _is_any) -> set[str]:
        """Return the own symbols to poll in every pass: indices, and those of trades or alerts."""
        with self._lock:
            needed = {*DEFAULT_INDICES, *self.traded, *self.alerted}
        return set(filter(is_own, needed))

    def symbols(self, is_own: Callable[[str], bool] = _is_any) -> set[str]:
        """Return the own symbols to poll now.

        Of the symbols that are only followed, each call returns the next MAX_FOLLOWED.
        """
        needed = self.needed(is_own)
        with self._lock:
            wanted = {*self.followed_elsewhere, *self._followers} - needed
        followed = sorted(filter(is_own, wanted))
        if len(followed) <= MAX_FOLLOWED:
            return needed.union(followed)
        begin = bisect_right(followed, self._last_polled)
        chosen = [*followed[begin:], *followed[:begin]][:MAX_FOLLOWED]
        self._last_polled = chosen[-1]
        return needed.union(chosen)

    @property
    def watched(self) -> list[str]:
        """What is followed, traded or has alerts; what most sockets here follow comes first."""
        with self._lock:
            followed = [symbol for symbol, _ in self._followers.most_common()]
            others = self.traded | self.alerted | self.followed_elsewhere
        return list(dict.fromkeys([*followed, *sorted(others)]))

    @property
    def followed_here(self) -> list[str]:
        """The symbols that sockets of this process follow, those of most sockets first."""
        with self._lock:
            return [symbol for symbol, _ in self._followers.most_common(MAX_FOLLOWED)]

    def want(self, symbols: Iterable[str]) -> None:
        """Have `announce` name these symbols as well, for WANTED_SECONDS."""
        now = time.monotonic()
        with self._lock:
            for symbol in symbols:
                self._wanted.pop(symbol, None)
                self._wanted[symbol] = now
            recent = list(self._wanted.items())[-MAX_WANTED:]
            self._wanted = {symbol: at for symbol, at in recent if now - at < WANTED_SECONDS}

    def announce(self, seconds: float) -> None:
        """Have the polling processes poll what this one needs, for `seconds`."""
        self.want(())
        symbols = list(dict.fromkeys([*self._wanted, *self.followed_here]))
        Followers.save(self._process, symbols, seconds)

    def find_followers(self) -> Followers:
        """Return what other processes need."""
        return Followers.find(excluding=self._process)

    def withdraw(self) -> None:
        """Have nothing polled for this process any more."""
        Followers.remove(self._process)
