"""A clock whose wall time can be set, as an operator or NTP sets one."""

from __future__ import annotations

from datetime import timedelta

from tests.support.market import ManualClock


class SettableClock(ManualClock):
    def set_by(self, change: timedelta) -> None:
        """Set the wall clock forward or back; the monotonic clock does not change."""
        self._start += change
