"""Yahoo's candles: real yfinance and curl, over HTTP to a fake of Yahoo."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.candle import Candle, Interval
from app.domain.corporate_actions import Ratio
from app.domain.quote import Source
from app.market_data.providers.base import ReportedAction
from app.market_data.providers.yahoo import YahooSource
from tests.fakes.yahoo import EMPTY_RESULT, FakeYahoo, Row
from tests.support.market import ManualClock
from tests.support.yahoo import MAHINDRA, TCS

OPENING = timedelta(hours=3, minutes=45)


def minutes(begin: datetime, number: int, step: int = 1) -> list[Row]:
    return [
        (begin + timedelta(minutes=step * n), 100.0 + n, 101.0 + n, 99.5 + n, 100.25 + n)
        for n in range(number)
    ]


def session(days_ago: int, clock: ManualClock) -> datetime:
    return clock.now().replace(hour=0, minute=0) - timedelta(days=days_ago) + OPENING


def candle(symbol: str, time: datetime, *prices: str) -> Candle:
    open_, high, low, close = map(Decimal, prices)
    return Candle(symbol, time, open_, high, low, close, Source.YAHOO, volume=100)


def test_candles_have_utc_times_and_whole_paise_and_gaps_stay(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    begin = session(3, clock)
    nan = float("nan")
    rows: list[Row] = [
        (begin, 100.0499954, 101.5, 99.95, 100.3),
        (begin + timedelta(minutes=1), None, None, None, None),
        (begin + timedelta(minutes=2), 100.3, nan, 100.1, 100.2),
        (begin + timedelta(minutes=3), 100.3, 100.4, 100.1, 100.2),
    ]
    yahoo.set_rows("TCS.NS", "1m", rows)

    candles = source.candles(TCS, Interval.MINUTE, begin, begin + timedelta(hours=1))
    assert candles == [
        candle("TCS.NS", begin, "100.05", "101.50", "99.95", "100.30"),
        candle("TCS.NS", begin + timedelta(minutes=3), "100.30", "100.40", "100.10", "100.20"),
    ]
    assert all(candle.time.tzinfo is UTC for candle in candles)


def test_candles_begin_from_since_and_before_until(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    begin = session(3, clock)
    yahoo.set_rows("TCS.NS", "1m", minutes(begin, 60))
    since, until = begin + timedelta(minutes=10), begin + timedelta(minutes=20)

    candles = source.candles(TCS, Interval.MINUTE, since, until)
    assert [candle.time for candle in candles] == [since + timedelta(minutes=n) for n in range(10)]


@pytest.mark.parametrize(
    ("interval", "step"),
    [
        (Interval.MINUTE, 1),
        (Interval.FIVE_MINUTES, 5),
        (Interval.QUARTER_HOUR, 15),
        (Interval.HOUR, 60),
    ],
)
def test_each_interval_is_requested_by_its_name(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock, interval: Interval, step: int
) -> None:
    begin = session(3, clock)
    yahoo.set_rows("TCS.NS", interval.value, minutes(begin, 6, step))

    candles = source.candles(TCS, interval, begin, begin + timedelta(days=1))
    assert [candle.time for candle in candles] == [
        begin + timedelta(minutes=step * n) for n in range(6)
    ]
    assert {request.query["interval"] for request in yahoo.charts()} == {interval.value}


def test_days_begin_at_midnight_in_india_and_are_not_adjusted_for_dividends(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    begin = session(10, clock)
    yahoo.set_rows("TCS.NS", "1d", minutes(begin, 5, 24 * 60))
    midnight = begin - OPENING - timedelta(hours=5, minutes=30)

    candles = source.candles(TCS, Interval.DAY, midnight, midnight + timedelta(days=5))
    assert [candle.time for candle in candles] == [midnight + timedelta(days=n) for n in range(5)]
    assert candles[0].open == Decimal("100.00")
    assert candles[0].close == Decimal("100.25")


def test_the_current_candle_has_the_start_of_its_minute(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    begin = session(0, clock)
    latest = (begin + timedelta(minutes=7, seconds=23), 107.0, 107.5, 106.5, 107.25)
    yahoo.set_rows("TCS.NS", "1m", [*minutes(begin, 6), latest])

    candles = source.candles(TCS, Interval.MINUTE, begin, clock.now())
    assert candles[-1].time == begin + timedelta(minutes=7)
    assert candles[-1].close == Decimal("107.25")


def test_a_long_span_of_minutes_is_requested_a_week_at_a_time(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    rows = [row for day in range(40, -1, -1) for row in minutes(session(day, clock), 2)]
    rows = [row for row in rows if row[0] < clock.now()]
    yahoo.set_rows("TCS.NS", "1m", rows)

    candles = source.candles(TCS, Interval.MINUTE, clock.now() - timedelta(days=40), clock.now())
    reach = clock.now() - timedelta(days=30) + timedelta(minutes=5)
    assert [candle.time for candle in candles] == [row[0] for row in rows if row[0] >= reach]
    assert len(yahoo.charts()) == 5


@pytest.mark.parametrize(
    ("interval", "days"),
    [(Interval.FIVE_MINUTES, 60), (Interval.QUARTER_HOUR, 60), (Interval.HOUR, 730)],
)
def test_a_span_that_is_too_old_returns_the_candles_that_yahoo_has(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock, interval: Interval, days: int
) -> None:
    yahoo.set_rows("TCS.NS", interval.value, minutes(session(2, clock), 3, 60))
    long_ago = clock.now() - timedelta(days=3 * days)

    assert len(source.candles(TCS, interval, long_ago, clock.now())) == 3
    assert source.candles(TCS, interval, long_ago, long_ago + timedelta(days=9)) == []


def test_daily_candles_reach_back_for_years(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    yahoo.set_rows("TCS.NS", "1d", minutes(session(3000, clock), 2, 24 * 60))
    since = clock.now() - timedelta(days=4000)

    assert len(source.candles(TCS, Interval.DAY, since, clock.now())) == 2


def test_a_symbol_or_a_span_without_candles_returns_none(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    week = clock.now() - timedelta(days=7)
    assert source.candles(MAHINDRA, Interval.MINUTE, week, clock.now()) == []
    assert source.candles(MAHINDRA, Interval.MINUTE, clock.now(), week) == []
    del yahoo.metadata["M&M.NS"]
    assert source.candles(MAHINDRA, Interval.MINUTE, week, clock.now()) == []


def test_a_bad_answer_about_the_past_is_not_cached(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    begin = session(3, clock)
    yahoo.set_rows("TCS.NS", "1m", minutes(begin, 5))
    span = (begin, begin + timedelta(minutes=5))
    yahoo.failures["TCS.NS"] = EMPTY_RESULT
    assert source.candles(TCS, Interval.MINUTE, *span) == []
    yahoo.failures.clear()

    assert len(source.candles(TCS, Interval.MINUTE, *span)) == 5


def test_rows_with_invalid_or_contradictory_prices_are_skipped(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    begin = session(3, clock)
    bad = [
        (100.0, 101.0, 0.0, 100.0),
        (100.0, 101.0, -1.0, 100.0),
        (0.0, 101.0, 99.0, 100.0),
        (100.0, 1e12, 99.0, 100.0),
        (100.0, 99.0, 98.0, 98.5),
        (100.0, 101.0, 99.5, 99.0),
    ]
    rows: list[Row] = [(begin + timedelta(minutes=n), *prices) for n, prices in enumerate(bad)]
    rows.append((begin + timedelta(minutes=len(bad)), 100.0, 101.0, 99.0, 100.0))
    yahoo.set_rows("TCS.NS", "1m", rows)

    (candle,) = source.candles(TCS, Interval.MINUTE, begin, begin + timedelta(hours=1))

    assert candle.low == 99


def test_splits_and_dividends_are_read_with_their_ex_dates(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    paid, divided = session(12, clock), session(3, clock)
    row = (100.0, 101.0, 99.5, 100.25)
    yahoo.set_rows("TCS.NS", "1d", [(paid, *row), (divided, *row)])
    # Yahoo divides dividends by later splits.
    yahoo.add_dividend("TCS.NS", paid, 3.7)
    yahoo.add_split("TCS.NS", divided, 5, 2)

    actions = source.actions(TCS, clock.now() - timedelta(days=30))

    assert actions == [
        ReportedAction(paid.date(), amount=Decimal("9.25")),
        ReportedAction(divided.date(), ratio=Ratio(5, 2)),
    ]
