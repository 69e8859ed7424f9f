"""The circuit breaker: it pauses a source that keeps failing, and probes it now and then."""

from __future__ import annotations

import threading
from enum import StrEnum

from app.clock import Clock
from app.logs import logger


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"


class Breaker:
    """Counts consecutive failures. It uses the monotonic clock: a wall clock may be set back."""

    def __init__(self, name: str, clock: Clock, *, failures: int, probe_seconds: float) -> None:
        """Open after `failures` in a row; then allow one attempt every `probe_seconds`."""
        self._name = name
        self._clock = clock
        self._max_failures = failures
        self._probe_seconds = probe_seconds
        self._failures = 0
        self._next_probe = 0.0
        self._lock = threading.Lock()

    @property
    def state(self) -> BreakerState:
        """CLOSED: every attempt is allowed. OPEN: only the probes are."""
        is_open = self._failures >= self._max_failures
        return BreakerState.OPEN if is_open else BreakerState.CLOSED

    def allows(self) -> bool:
        """Return whether an attempt may be made now; only one caller gets each probe."""
        with self._lock:
            if self.state is BreakerState.CLOSED:
                return True
            now = self._clock.monotonic()
            if now < self._next_probe:
                return False
            self._next_probe = now + self._probe_seconds
            return True

    def succeeded(self) -> None:
        """Record a success: every attempt is allowed again."""
        with self._lock:
            if self.state is BreakerState.OPEN:
                logger.info("%s: recovered", self._name)
            self._failures = 0

    def failed(self) -> None:
        """Record a failure."""
        with self._lock:
            was_closed = self.state is BreakerState.CLOSED
            self._failures += 1
            if was_closed and self.state is BreakerState.OPEN:
                self._next_probe = self._clock.monotonic() + self._probe_seconds
                logger.warning(
                    "%s: keeps failing; one attempt every %g s", self._name, self._probe_seconds
                )
