"""Counts of requests, in memory: what Flask-Limiter counts in while there is no Redis.

The storage in memory of the limits package looks through every count each hundredth of a second
while requests come in: 12 ms at 50,000 of them, one for each user and route. This one looks through
them when they have doubled in number.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from limits import parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

# By which Flask-Limiter is told of them.
COUNTERS_URI = "counters://"
# Fewer are not worth looking through.
FEW = 10_000


@dataclass(slots=True)
class _Window:
    count: int
    ends_at: float


class WindowCounters(Storage):
    """Fixed windows, each of which begins with its first request. Times are Unix seconds."""

    STORAGE_SCHEME = [COUNTERS_URI.partition(":")[0]]

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **_: str) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._windows: dict[str, _Window] = {}
        self._sweep_at = FEW
        self._lock = threading.Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a count that ends `expiry` seconds after it began; return it."""
        now = time.time()
        with self._lock:
            window = self._windows.get(key)
            if window is None or window.ends_at <= now:
                window = self._windows[key] = _Window(0, now + expiry)
                if len(self._windows) >= self._sweep_at:
                    self._sweep(now)
            window.count += amount
            return window.count

    def get(self, key: str) -> int:
        """Return a count, 0 where there is none or it has ended."""
        window = self._windows.get(key)
        return window.count if window and window.ends_at > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """Return when a count ends: now where there is none."""
        window = self._windows.get(key)
        return window.ends_at if window else time.time()

    def check(self) -> bool:
        """Tell that it is there."""
        return True

    def clear(self, key: str) -> None:
        """Forget a count."""
        self._windows.pop(key, None)

    def reset(self) -> int:
        """Forget every count; return how many there were."""
        with self._lock:
            count = len(self._windows)
            self._windows.clear()
        return count

    def _sweep(self, now: float) -> None:
        self._windows = {key: each for key, each in self._windows.items() if each.ends_at > now}
        self._sweep_at = max(FEW, 2 * len(self._windows))


class LogBudget:
    """How many lines the log takes: for each key, and for all keys together."""

    def __init__(self, *, each: str, together: str) -> None:
        self._each = parse(each)
        self._together = parse(together)
        self._limits = FixedWindowRateLimiter(WindowCounters())

    def allows(self, key: str) -> bool:
        """Return whether one more line about `key` may be written, and count it."""
        limits, key = self._limits, key[:200]
        if not (limits.test(self._each, key) and limits.test(self._together)):
            return False
        return limits.hit(self._each, key) and limits.hit(self._together)
