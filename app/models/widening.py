"""The promise without which nothing that waits for a price is written."""

from __future__ import annotations

from dataclasses import dataclass

from pymongo.errors import ExecutionTimeout

from app.clock import Clock


@dataclass(frozen=True, slots=True)
class Widening:
    """The bounds of symbols include what is written until a time of the clock, in seconds.

    Only `PriceBounds.widen` gives one: ticks that reach other levels are not looked at.
    """

    clock: Clock
    until: float

    def require(self) -> None:
        """Raise ExecutionTimeout if it is too late; call it in the transaction, after the write."""
        if self.clock.monotonic() > self.until:
            raise ExecutionTimeout("the process was paused before the end of a transaction", 50)
