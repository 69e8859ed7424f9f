"""The sessions of the simulated market: SIMULATED_HOURS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from app.domain.candle import IST
from app.market_data.calendar import TradingCalendar

DAY_SECONDS = 86_400
_FIRST_DAY = date(1970, 1, 1).toordinal()
_MIDNIGHT = datetime(1970, 1, 1, tzinfo=IST)


class Hours(NamedTuple):
    """A session: its first second (see `seconds_of`), and its length in whole minutes."""

    opens: int
    minutes: int

    @property
    def closes(self) -> int:
        """The first second after it."""
        return self.opens + 60 * self.minutes


@dataclass(frozen=True, slots=True)
class SimulatedHours:
    """The sessions of a market. `of_day` returns the session of a day since 1 January 1970."""

    name: str
    of_day: Callable[[int], Hours | None]
    sessions_a_year: float


def seconds_of(time: datetime) -> float:
    """Return the seconds from midnight of 1 January 1970 in India to `time`."""
    return (time - _MIDNIGHT).total_seconds()


def time_at(seconds: float) -> datetime:
    """Return the time of which `seconds_of` returns these seconds, UTC."""
    return (_MIDNIGHT + timedelta(seconds=seconds)).astimezone(UTC)


def _always_open(day: int) -> Hours:
    return Hours(day * DAY_SECONDS, DAY_SECONDS // 60)


# A session lasts from midnight to midnight in India, every day.
ALWAYS = SimulatedHours("always", _always_open, 365)


def exchange_hours(calendar: TradingCalendar) -> SimulatedHours:
    """Return the hours in which prices move in Mumbai. The first question loads the calendar."""

    def of_day(day: int) -> Hours | None:
        session = calendar.session_on(date.fromordinal(_FIRST_DAY + day))
        if session is None:
            return None
        opens = int(seconds_of(session.open))
        return Hours(opens, int((session.auction - session.open).total_seconds()) // 60)

    return SimulatedHours("exchange", of_day, 248)
