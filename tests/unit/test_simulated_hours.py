"""The sessions of the simulated market: round the clock, or the exchange's hours."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

import pytest

from app.domain.candle import IST, Interval
from app.market_data.calendar import TradingCalendar
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.feeds.simulated_hours import ALWAYS, SimulatedHours, exchange_hours
from app.market_data.instruments.registry import load_instruments
from tests.support.market import ManualClock

INSTRUMENTS = load_instruments()
# A Friday before the close, in India.
FRIDAY = datetime(2026, 7, 17, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def exchange() -> SimulatedHours:
    return exchange_hours(TradingCalendar())


def market(clock: ManualClock, hours: SimulatedHours) -> SimulatedFeed:
    return SimulatedFeed(INSTRUMENTS, clock, seed="7", hours=hours)


def test_a_session_round_the_clock_begins_at_midnight_every_day() -> None:
    feed = market(ManualClock(FRIDAY), ALWAYS)

    days = feed.history("^NSEI", Interval.DAY, FRIDAY - timedelta(days=30), FRIDAY)
    quarters = feed.history("^NSEI", Interval.QUARTER_HOUR, FRIDAY - timedelta(days=7), FRIDAY)

    assert len(days) == 30
    assert len(quarters) == 7 * 96
    gaps = [abs(later.open - earlier.close) for earlier, later in pairwise(days)]
    assert sorted(gaps)[len(gaps) // 4] > 15


def test_the_exchange_has_candles_in_its_hours_only(exchange: SimulatedHours) -> None:
    feed = market(ManualClock(FRIDAY), exchange)

    candles = feed.history("TCS.NS", Interval.MINUTE, FRIDAY - timedelta(days=14), FRIDAY)

    times = [candle.time.astimezone(IST) for candle in candles]
    assert {each.weekday() for each in times} == {0, 1, 2, 3, 4}
    assert min(each.time() for each in times) == time(9, 15)
    assert max(each.time() for each in times) == time(15, 29)


def test_since_august_2026_prices_move_until_the_closing_auction(exchange: SimulatedHours) -> None:
    later = FRIDAY + timedelta(days=60)
    feed = market(ManualClock(later), exchange)

    candles = feed.history("TCS.NS", Interval.MINUTE, later - timedelta(days=7), later)

    assert max(each.time.astimezone(IST).time() for each in candles) == time(15, 14)


def test_a_closed_exchange_shows_its_last_price(exchange: SimulatedHours) -> None:
    clock = ManualClock(FRIDAY)
    feed = market(clock, exchange)
    clock.advance(2 * 86_400)
    quote = feed.latest("TCS.NS")
    assert quote is not None

    days = feed.history("TCS.NS", Interval.DAY, FRIDAY - timedelta(days=3), clock.now())

    assert len(days) == 3
    assert quote.price == days[-1].close
    assert quote.details.previous_close == days[-2].close
    assert quote.details.volume == days[-1].volume
    assert feed.candles("TCS.NS", clock.now() - timedelta(days=1), clock.now()) == []


def test_a_day_of_the_exchange_starts_with_a_gap(exchange: SimulatedHours) -> None:
    feed = market(ManualClock(FRIDAY), exchange)

    days = feed.history("TCS.NS", Interval.DAY, FRIDAY - timedelta(days=60), FRIDAY)

    gaps = [abs(later.open / earlier.close - 1) for earlier, later in pairwise(days)]
    assert sorted(gaps)[len(gaps) // 2] > 0.001
