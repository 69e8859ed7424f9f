"""Pace: how often this process may ask Angel One, all its threads together."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.market_data.providers.base import SourceUnavailable

WINDOW_SECONDS = 1.0


class Throttle:
    """Never more than so many requests within a second, as the vendor counts them.

    It counts when they arrive, some time between being sent and being answered. So a turn may be
    taken again a second after the answer to the request that had it, however long that took.
    """

    def __init__(self, requests_a_second: int) -> None:
        # When each turn that nobody has may be taken, the first of them first.
        self._free_at = [-math.inf] * requests_a_second
        self._returned = threading.Condition()

    @contextmanager
    def turn(self, at_most: float) -> Iterator[None]:
        """Have a turn for the block; raise SourceUnavailable where it is `at_most` s away."""
        self._take(time.monotonic() + at_most)
        try:
            yield
        finally:
            with self._returned:
                heapq.heappush(self._free_at, time.monotonic() + WINDOW_SECONDS)
                self._returned.notify_all()

    def _take(self, deadline: float) -> None:
        with self._returned:
            while (wait := self._seconds_to_wait()) > 0:
                left = deadline - time.monotonic()
                if left <= 0 or left < wait < math.inf:
                    raise SourceUnavailable("too many requests are waiting for Angel One")
                self._returned.wait(min(wait, left))
            heapq.heappop(self._free_at)

    def _seconds_to_wait(self) -> float:
        """Return for how long the next turn is not to be taken; inf while it is not known."""
        return self._free_at[0] - time.monotonic() if self._free_at else math.inf


# Per client the vendor allows more quotes, and one login a second.
REQUESTS = Throttle(3)
LOGINS = Throttle(1)
