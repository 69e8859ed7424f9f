"""The circuit breaker: a source that keeps failing is left alone, and tried now and then."""

from __future__ import annotations

import threading
from enum import StrEnum

from app.clock import Clock
from app.logs import logger


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"


class Breaker:
    """Counts failures in a row. By the monotonic clock: a wall clock may be set back."""

    def __init__(self, what: str, clock: Clock, *, failures: int, probe_seconds: float) -> None:
        """Open after so many `failures`, then let one attempt through each `probe_seconds`."""
        self._what = what
        self._clock = clock
        self._most_failures = failures
        self._probe_seconds = probe_seconds
        self._failures = 0
        self._next_probe = 0.0
        self._lock = threading.Lock()

    @property
    def state(self) -> BreakerState:
        """Whether attempts go through, or only a probe now and then."""
        opened = self._failures >= self._most_failures
        return BreakerState.OPEN if opened else BreakerState.CLOSED

    def allows(self) -> bool:
        """Tell whether to make an attempt now; of several who ask for a probe, one may."""
        with self._lock:
            if self.state is BreakerState.CLOSED:
                return True
            now = self._clock.monotonic()
            if now < self._next_probe:
                return False
            self._next_probe = now + self._probe_seconds
            return True

    def succeeded(self) -> None:
        """Count a success: every attempt goes through again."""
        with self._lock:
            if self.state is BreakerState.OPEN:
                logger.info("%s: answers again", self._what)
            self._failures = 0

    def failed(self) -> None:
        """Count a failure."""
        with self._lock:
            was_closed = self.state is BreakerState.CLOSED
            self._failures += 1
            if was_closed and self.state is BreakerState.OPEN:
                self._next_probe = self._clock.monotonic() + self._probe_seconds
                logger.warning("%s: failing, tried once in %g s", self._what, self._probe_seconds)
