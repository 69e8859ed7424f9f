"""Pace: how often this process may ask Angel One, all its threads together."""

from __future__ import annotations

import threading
import time

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from app.market_data.source import SourceUnavailable

WINDOW_SECONDS = 1.0
# A request that waited is this much later than it must be: those before it may arrive late.
MARGIN_SECONDS = 0.2


class Pace:
    def __init__(self, requests_a_second: int) -> None:
        self._limit = RateLimitItemPerSecond(requests_a_second)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        # The storage's own locks come and go with their entries.
        self._lock = threading.Lock()

    def wait(self, at_most: float) -> None:
        """Wait for this caller's turn; raise SourceUnavailable where it is `at_most` s away."""
        deadline = time.monotonic() + at_most
        while wait := self._seconds_to_wait():
            if time.monotonic() + wait > deadline:
                raise SourceUnavailable("too many requests are waiting for Angel One")
            time.sleep(wait)

    def _seconds_to_wait(self) -> float:
        """Take a turn and return 0, or return the seconds until there may be one."""
        with self._lock:
            if self._limiter.hit(self._limit):
                return 0
            left = self._limiter.get_window_stats(self._limit).reset_time - time.time()
            if left > WINDOW_SECONDS:
                # The wall clock was set back, and would hold everyone until it is there again.
                self._limiter.clear(self._limit)
                return WINDOW_SECONDS
            return max(left, 0) + MARGIN_SECONDS


# Per client the vendor allows more quotes, and one login a second.
REQUESTS = Pace(3)
LOGINS = Pace(1)
