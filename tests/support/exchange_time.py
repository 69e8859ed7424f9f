"""Times in the exchange's time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tests.support.market import ManualClock

INDIA = ZoneInfo("Asia/Kolkata")


def ist(text: str) -> datetime:
    """Return the UTC time of a local time in India, such as 2026-11-23 09:15."""
    return datetime.fromisoformat(text).replace(tzinfo=INDIA).astimezone(UTC)


def advance_to(clock: ManualClock, time: datetime) -> None:
    clock.advance((time - clock.now()).total_seconds())
