"""Angel One's candles, from a server with its API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.candle import IST, Candle, Interval
from app.domain.quote import Source
from app.market_data.providers.angel_one.source import AngelOneSource
from app.market_data.providers.base import SourceUnavailable
from tests.fakes.angel_one import FakeAngelOne
from tests.support.angel_one import NIFTY_50, shares
from tests.support.market import ManualClock

NINE_FIFTEEN = datetime(2026, 11, 20, 9, 15, tzinfo=IST)


def test_only_candles_of_the_requested_span_are_returned(
    angel_one: AngelOneSource, angel: FakeAngelOne
) -> None:
    times = [NINE_FIFTEEN + timedelta(minutes=number) for number in range(5)]
    angel.history["99926000", "ONE_MINUTE"] = [
        (time, 100 + n, 110.055 + n, 90 + n, 105 + n, 7) for n, time in enumerate(times)
    ]

    candles = angel_one.candles(NIFTY_50, Interval.MINUTE, times[1].astimezone(UTC), times[3])

    assert candles == [
        Candle(
            symbol="^NSEI",
            time=times[n].astimezone(UTC),
            open=Decimal(100 + n).quantize(Decimal("0.01")),
            high=Decimal(f"{110 + n}.06"),
            low=Decimal(90 + n).quantize(Decimal("0.01")),
            close=Decimal(105 + n).quantize(Decimal("0.01")),
            source=Source.ANGEL_ONE,
        )
        for n in (1, 2)
    ]
    assert candles[0].time.tzinfo is UTC
    assert angel.requests[-1].body == {
        "exchange": "NSE",
        "symboltoken": "99926000",
        "interval": "ONE_MINUTE",
        "fromdate": "2026-11-20 09:16",
        "todate": "2026-11-20 09:17",
    }


def test_candles_of_shares_have_their_volume(
    angel_one: AngelOneSource, angel: FakeAngelOne
) -> None:
    times = [NINE_FIFTEEN + timedelta(minutes=number) for number in range(3)]
    rows = zip(times, (1_200, -1, "many"), strict=True)
    angel.history["1", "ONE_MINUTE"] = [(time, 100, 101, 99, 100, volume) for time, volume in rows]
    (share,) = shares(1)

    candles = angel_one.candles(share, Interval.MINUTE, times[0], times[-1] + timedelta(minutes=1))

    assert [candle.volume for candle in candles] == [1_200, None, None]


@pytest.mark.parametrize(
    ("interval", "name", "days"),
    [
        (Interval.MINUTE, "ONE_MINUTE", 30),
        (Interval.FIVE_MINUTES, "FIVE_MINUTE", 100),
        (Interval.QUARTER_HOUR, "FIFTEEN_MINUTE", 200),
        (Interval.HOUR, "ONE_HOUR", 400),
        (Interval.DAY, "ONE_DAY", 2000),
    ],
)
def test_a_span_beyond_the_vendors_maximum_is_requested_in_parts(
    angel_one: AngelOneSource, angel: FakeAngelOne, interval: Interval, name: str, days: int
) -> None:
    until = NINE_FIFTEEN.replace(hour=0, minute=0)
    since = until - timedelta(days=2 * days + 1)
    # A candle at each edge of a part, and one at the end.
    times = [since, since + timedelta(days=days), since + timedelta(days=2 * days), until]
    angel.history["99926000", name] = [(time, 100, 101, 99, 100, 0) for time in times]

    candles = angel_one.candles(NIFTY_50, interval, since, until)

    assert [candle.time for candle in candles] == times[:3]
    assert angel.count("candles") == 3


def test_a_daily_candle_is_found_from_any_time_of_the_day_before(
    angel_one: AngelOneSource, angel: FakeAngelOne
) -> None:
    midnight = NINE_FIFTEEN.replace(hour=0, minute=0)
    angel.history["99926000", "ONE_DAY"] = [(midnight, 100, 101, 99, 100, 0)]
    day_before = NINE_FIFTEEN - timedelta(days=1)

    assert len(angel_one.candles(NIFTY_50, Interval.DAY, day_before, NINE_FIFTEEN)) == 1
    assert angel_one.candles(NIFTY_50, Interval.DAY, NINE_FIFTEEN, NINE_FIFTEEN) == []


def test_future_candles_are_not_requested(
    angel_one: AngelOneSource, angel: FakeAngelOne, clock: ManualClock
) -> None:
    tomorrow = clock.now() + timedelta(days=1)

    assert angel_one.candles(NIFTY_50, Interval.MINUTE, tomorrow, tomorrow.replace(year=9999)) == []
    assert angel.requests == []
    angel_one.candles(NIFTY_50, Interval.MINUTE, clock.now() - timedelta(hours=1), tomorrow)
    assert angel.count("candles") == 1


def test_a_span_that_is_too_long_is_refused_without_a_request(
    angel_one: AngelOneSource, angel: FakeAngelOne
) -> None:
    with pytest.raises(SourceUnavailable, match="at most 900 days of 1m candles"):
        angel_one.candles(
            NIFTY_50, Interval.MINUTE, datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC)
        )
    assert angel.requests == []


def test_invalid_candles_are_skipped(angel_one: AngelOneSource, angel: FakeAngelOne) -> None:
    def minute(number: int) -> datetime:
        return NINE_FIFTEEN + timedelta(minutes=number)

    angel.history["99926000", "ONE_MINUTE"] = [
        (minute(0), 100, 101, 99, 100, 0),
        (minute(1), 100, 99, 98, 100, 0),
        (minute(2), 100, 101, 99, None, 0),
        (minute(3), 100, 101),
        (minute(4), 100, 101, 100.5, 100, 0),
        (minute(5), -1, 101, -1, 100, 0),
    ]

    candles = angel_one.candles(NIFTY_50, Interval.MINUTE, minute(0), minute(9))

    assert [candle.time for candle in candles] == [minute(0)]
