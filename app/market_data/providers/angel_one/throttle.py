"""The request rate of this process to Angel One, shared by all its threads."""

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
    """Allows a maximum number of requests per second, as the vendor counts them.

    The vendor counts a request when it arrives, which is between its sending and its response. So
    a slot is free again one second after the response, however long the response took.
    """

    def __init__(self, requests_per_second: int) -> None:
        # When each unused slot is free, earliest first.
        self._free_at = [-math.inf] * requests_per_second
        self._returned = threading.Condition()

    @contextmanager
    def slot(self, timeout: float) -> Iterator[None]:
        """Hold a slot for the block; raise SourceUnavailable if none is free in `timeout` s."""
        self._take(time.monotonic() + timeout)
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
        """Return the seconds until the next slot is free; inf while every slot is in use."""
        return self._free_at[0] - time.monotonic() if self._free_at else math.inf


# Per account the vendor allows more requests for quotes, and one login a second.
REQUESTS = Throttle(3)
LOGINS = Throttle(1)
