"""The clock: every part that needs the time gets one as a parameter."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the wall-clock time, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""


class SystemClock:
    def now(self) -> datetime:
        """Return the wall-clock time, UTC, in the whole milliseconds that MongoDB keeps."""
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return time.monotonic()
