"""Where candles begin, and how short ones are aggregated to long ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.candle import IST, Candle, Interval, aggregate, beginning_of, first_beginning_from
from app.domain.quote import Quote, Source
from tests.support.quotes import prices_of


def ist(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=IST)


def candle(time: datetime, *prices: int) -> Candle:
    return Candle.of([Quote("^NSEI", Decimal(price), Source.REPLAY, time) for price in prices])


@pytest.mark.parametrize(
    ("interval", "beginning"),
    [
        (Interval.MINUTE, ist(23, 9, 17)),
        (Interval.FIVE_MINUTES, ist(23, 9, 15)),
        (Interval.QUARTER_HOUR, ist(23, 9, 15)),
        (Interval.HOUR, ist(23, 9, 0)),
        (Interval.DAY, ist(23, 0, 0)),
    ],
)
def test_candles_are_aligned_to_midnight_in_india(interval: Interval, beginning: datetime) -> None:
    time = ist(23, 9, 17, 42)

    assert beginning_of(time, interval) == beginning
    assert beginning_of(time.astimezone(UTC), interval) == beginning
    assert beginning_of(time, interval).tzinfo is UTC


@pytest.mark.parametrize(
    ("time", "day"),
    [
        (datetime(2026, 11, 22, 18, 29, 59, 999_999, tzinfo=UTC), ist(22, 0, 0)),
        (datetime(2026, 11, 22, 18, 30, tzinfo=UTC), ist(23, 0, 0)),
        (datetime(1969, 12, 31, 12, 0, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=IST)),
    ],
)
def test_a_day_begins_at_midnight_in_india(time: datetime, day: datetime) -> None:
    assert beginning_of(time, Interval.DAY) == day


def test_the_first_candle_from_a_time_begins_then_or_later() -> None:
    assert first_beginning_from(ist(23, 9, 15), Interval.FIVE_MINUTES) == ist(23, 9, 15)
    assert first_beginning_from(ist(23, 9, 15, 1), Interval.FIVE_MINUTES) == ist(23, 9, 20)
    assert first_beginning_from(ist(23, 0, 0, 1), Interval.DAY) == ist(24, 0, 0)


def test_short_candles_are_aggregated_to_a_long_one() -> None:
    parts = [
        candle(ist(23, 9, 15, 3), 100, 104, 99, 103),
        candle(ist(23, 9, 16), 103, 103, 97),
        candle(ist(23, 9, 19, 59), 98, 101),
        candle(ist(23, 9, 20), 5),
    ]
    made = aggregate(parts, Interval.FIVE_MINUTES)

    assert [prices_of(each) for each in made] == [
        (100, 104, 97, 101),
        (5, 5, 5, 5),
    ]
    assert [each.time for each in made] == [ist(23, 9, 15), ist(23, 9, 20)]
    assert (made[0].symbol, made[0].source) == ("^NSEI", Source.REPLAY)


def test_an_interval_without_a_price_has_no_candle() -> None:
    parts = [candle(ist(23, 9, 15), 1), candle(ist(23, 12, 0), 2)]

    assert [each.time for each in aggregate(parts, Interval.HOUR)] == [
        ist(23, 9, 0),
        ist(23, 12, 0),
    ]
    assert aggregate([], Interval.HOUR) == []


def test_an_interval_has_the_length_of_its_name() -> None:
    assert {each.value: each.length for each in Interval} == {
        "1m": timedelta(minutes=1),
        "5m": timedelta(minutes=5),
        "15m": timedelta(minutes=15),
        "1h": timedelta(hours=1),
        "1d": timedelta(days=1),
    }
