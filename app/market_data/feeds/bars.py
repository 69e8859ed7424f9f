"""Spans: candles as the simulated market counts them, in minutes and ticks.

A minute is numbered from midnight of 1 January 1970 in India, so that every candle begins at a
multiple of its length. A price is a whole number of the instrument's tick size.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from app.domain.candle import IST, Interval

MIDNIGHT = datetime(1970, 1, 1, tzinfo=IST)
MINUTES = {interval: interval.length // timedelta(minutes=1) for interval in Interval}
# Spans kept of each interval, at most: two days of minutes, four months of hours, in 120 KB.
KEPT_SPANS = 3_000
# Numbers that one span is kept as.
_WIDTH = 5


class Bar(NamedTuple):
    """First, highest, lowest and last price of the time from `minute`."""

    minute: int
    open: int
    high: int
    low: int
    close: int


def seconds_of(time: datetime) -> float:
    """Return the seconds from the first midnight to `time`."""
    return (time - MIDNIGHT).total_seconds()


def minute_of(time: datetime) -> int:
    """Return the number of the minute that holds `time`."""
    return (time - MIDNIGHT) // timedelta(minutes=1)


def time_of(minute: int) -> datetime:
    """Return when a minute begins, UTC."""
    return (MIDNIGHT + timedelta(minutes=minute)).astimezone(UTC)


def join(spans: Iterable[Bar], minutes: int) -> list[Bar]:
    """Return the spans of `minutes` that shorter ones, in their order, make."""
    groups = groupby(spans, key=lambda span: span.minute // minutes)
    return [_joined(number * minutes, list(parts)) for number, parts in groups]


def _joined(minute: int, parts: list[Bar]) -> Bar:
    return Bar(
        minute,
        parts[0].open,
        max(part.high for part in parts),
        min(part.low for part in parts),
        parts[-1].close,
    )


class BarLog:
    """The last spans of each interval, in 40 bytes each."""

    def __init__(self) -> None:
        self._tiers = [_Tier(minutes) for minutes in sorted(MINUTES.values())]

    def add(self, span: Bar) -> None:
        """Take up a minute that is over; none may be earlier than the one before."""
        # A tier is handed what is over on the one below, so most minutes touch only two.
        over: Bar | None = span
        for tier in self._tiers:
            if over is None:
                return
            over = tier.add(over)

    def spans(self, minutes: int, first: int, last: int) -> list[Bar]:
        """Return the spans of `minutes` from `first` to before `last`; the last one in parts."""
        below = [tier for tier in self._tiers if tier.minutes <= minutes]
        forming = [tier.forming for tier in reversed(below) if tier.forming]
        over = below[-1].between(first, last)
        return over + [span for span in forming if first <= span.minute < last]

    def has_forgotten(self, minutes: int) -> bool:
        """Tell whether spans of `minutes` had to make room for later ones."""
        return any(tier.has_forgotten for tier in self._tiers if tier.minutes == minutes)


class _Tier:
    """The spans of one length that are over, and the one that is being made."""

    def __init__(self, minutes: int) -> None:
        self.minutes = minutes
        self.forming: Bar | None = None
        self.has_forgotten = False
        self._numbers = array("q")

    def add(self, span: Bar) -> Bar | None:
        """Take up a shorter span; return the span that is over with it, if one is."""
        begins = span.minute // self.minutes * self.minutes
        over = self.forming
        if over is not None and over.minute == begins:
            self.forming = _joined(begins, [over, span])
            return None
        self.forming = Bar(begins, *span[1:])
        if over is not None:
            self._keep(over)
        return over

    def between(self, first: int, last: int) -> list[Bar]:
        """Return the spans that are over and began from `first` to before `last`."""
        minutes = self._numbers[::_WIDTH]
        begin, end = bisect_left(minutes, first), bisect_left(minutes, last)
        numbers = iter(self._numbers[begin * _WIDTH : end * _WIDTH])
        return [Bar(*each) for each in zip(*[numbers] * _WIDTH, strict=True)]

    def _keep(self, span: Bar) -> None:
        self._numbers.extend(span)
        if len(self._numbers) > KEPT_SPANS * _WIDTH:
            # Many at once, since all that stay are moved.
            del self._numbers[: KEPT_SPANS // 5 * _WIDTH]
            self.has_forgotten = True
