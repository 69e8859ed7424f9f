"""Candles as ticks of a recording.

A candle has four: its open at its beginning; after a third of its time the low, and after two
thirds the high, if it rises or ends where it began; the high and then the low if it falls; its
close one second before its end. A candle of a day lasts from the opening of the exchange to the
end of continuous trading, and another one ends there at the latest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

from app.domain.candle import IST, Interval
from app.domain.quote import Quote, QuoteDetails, Source
from app.market_data.calendar import TradingCalendar
from app.market_data.recordings.candle_files import FileCandle

# Of a day that the calendar takes for a holiday.
OPENS, ENDS = time(9, 15), time(15, 30)
# The ticks of a candle.
PRICES = 4
_BEFORE_END = timedelta(seconds=1)
_MINUTE = Interval.MINUTE.length


def ticks_of(candles: Iterable[FileCandle], calendar: TradingCalendar) -> list[Quote]:
    """Return the ticks of candles, in order of time."""
    by_symbol: dict[str, list[FileCandle]] = defaultdict(list)
    for candle in candles:
        by_symbol[candle.symbol].append(candle)
    ticks: list[Quote] = []
    for its_candles in by_symbol.values():
        its_candles.sort(key=lambda candle: candle.begins)
        ticks += _ticks_of_symbol(its_candles, calendar)
    return sorted(ticks, key=lambda tick: tick.timestamp)


@dataclass(slots=True)
class _Day:
    """The figures of a symbol's day so far."""

    date: date
    previous_close: Decimal | None
    open: Decimal
    high: Decimal
    low: Decimal
    volume: int | None = None

    def details_at(self, price: Decimal) -> QuoteDetails:
        """Return the figures at a further price."""
        self.high, self.low = max(self.high, price), min(self.low, price)
        return QuoteDetails(
            previous_close=self.previous_close,
            open=self.open,
            high=self.high,
            low=self.low,
            volume=self.volume,
        )


def _ticks_of_symbol(candles: Sequence[FileCandle], calendar: TradingCalendar) -> Iterator[Quote]:
    length = _length_of(candles)
    day: _Day | None = None
    close: Decimal | None = None
    for candle in candles:
        opening, today = candle.open, candle.begins.date()
        if day is None or day.date != today:
            day = _Day(today, candle.previous_close or close, opening, opening, opening)
        for number, (at, price) in enumerate(_path_of(candle, length, calendar), 1):
            if number == PRICES and candle.volume is not None and candle.symbol[0] != "^":
                day.volume = (day.volume or 0) + candle.volume
            details = day.details_at(price)
            yield Quote(candle.symbol, price, Source.REPLAY, at, details=details)
        close = candle.close


def _path_of(
    candle: FileCandle, length: timedelta, calendar: TradingCalendar
) -> list[tuple[datetime, Decimal]]:
    begins, ends = _span_of(candle, length, calendar)
    extremes = [candle.low, candle.high]
    if candle.close < candle.open:
        extremes.reverse()
    third = (ends - begins) / 3
    times = (begins, begins + third, begins + 2 * third, ends - _BEFORE_END)
    return list(zip(times, (candle.open, *extremes, candle.close), strict=True))


def _span_of(
    candle: FileCandle, length: timedelta, calendar: TradingCalendar
) -> tuple[datetime, datetime]:
    """Return the beginning and the end of a candle, UTC."""
    day = candle.begins.date()
    if session := calendar.session_on(day):
        opens, ends = session.open, session.auction
    else:
        opens, ends = (datetime.combine(day, each, IST).astimezone(UTC) for each in (OPENS, ENDS))
    if candle.is_of_a_day:
        return opens, ends
    begins = candle.begins.astimezone(UTC)
    end = begins + length
    return begins, min(end, ends) if begins < ends else end


def _length_of(candles: Sequence[FileCandle]) -> timedelta:
    """Return the length of candles that are not of a day: the least time between two of them."""
    times = (candle.begins for candle in candles)
    return min((later - earlier for earlier, later in pairwise(times)), default=_MINUTE)
