"""Times as the exchange's own clocks show them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tests.support.market import ManualClock

INDIA = ZoneInfo("Asia/Kolkata")


def ist(text: str) -> datetime:
    """Return the UTC time at which it is `text` in India."""
    return datetime.fromisoformat(text).replace(tzinfo=INDIA).astimezone(UTC)


def advance_to(clock: ManualClock, time: datetime) -> None:
    clock.advance((time - clock.now()).total_seconds())
