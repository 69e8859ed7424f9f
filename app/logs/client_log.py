"""Log lines about what clients do: few, however often they do it."""

from __future__ import annotations

import time

from app.logs import logger

QUIET_SECONDS = 10.0


class ClientLog:
    """Logs each event at most once in QUIET_SECONDS; the next line counts those in between."""

    def __init__(self) -> None:
        self._logged_at: dict[str, float] = {}
        self._skipped: dict[str, int] = {}

    def write(self, event: str, address: str, *, warning: bool = False) -> None:
        """Log `event`, one of our own texts, and the address that caused it."""
        now = time.monotonic()
        if now - self._logged_at.get(event, -QUIET_SECONDS) < QUIET_SECONDS:
            self._skipped[event] = self._skipped.get(event, 0) + 1
            return
        self._logged_at[event] = now
        count = self._skipped.pop(event, 0)
        more = f" ({count} more since the last such line)" if count else ""
        log = logger.warning if warning else logger.info
        log("%s: %s%s", event, address, more)
