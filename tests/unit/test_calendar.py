"""The trading calendar: sessions from XBOM and the dated rules."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from app.market_data.calendar import SessionKind, TradingCalendar, read_rules
from tests.support.exchange_time import ist

PRE_OPEN, REGULAR, AUCTION, CLOSED = SessionKind


@pytest.fixture(scope="module")
def calendar() -> TradingCalendar:
    return TradingCalendar()


@pytest.mark.parametrize(
    ("time", "is_open", "session"),
    [
        ("2026-11-23 08:59:59", False, CLOSED),
        ("2026-11-23 09:00:00", False, PRE_OPEN),
        ("2026-11-23 09:14:59.999", False, PRE_OPEN),
        ("2026-11-23 09:15:00", True, REGULAR),
        ("2026-11-23 15:14:59.999", True, REGULAR),
        ("2026-11-23 15:15:00", True, AUCTION),
        ("2026-11-23 15:29:59.999", True, AUCTION),
        ("2026-11-23 15:30:00", False, AUCTION),
        ("2026-11-23 15:34:59.999", False, AUCTION),
        ("2026-11-23 15:35:00", False, CLOSED),
        ("2026-11-23 23:59:59", False, CLOSED),
        ("2026-11-24 00:00:00", False, CLOSED),
    ],
)
def test_a_day_has_a_pre_open_a_regular_session_and_a_closing_auction(
    calendar: TradingCalendar, time: str, is_open: bool, session: SessionKind
) -> None:
    status = calendar.status(ist(time))

    assert (status.open, status.session) == (is_open, session)
    assert calendar.is_open(ist(time)) is is_open
    assert status.session_date == (None if session is CLOSED else date(2026, 11, 23))


@pytest.mark.parametrize(
    ("time", "session"),
    [
        ("2026-07-31 15:15:00", REGULAR),
        ("2026-07-31 15:30:00", CLOSED),
        ("2026-08-03 15:15:00", AUCTION),
        ("2026-08-03 15:30:00", AUCTION),
    ],
)
def test_the_closing_auction_began_on_3_august_2026(
    calendar: TradingCalendar, time: str, session: SessionKind
) -> None:
    assert calendar.status(ist(time)).session is session


@pytest.mark.parametrize(
    ("day", "why"),
    [
        ("2026-11-21", "a Saturday"),
        ("2026-11-22", "a Sunday"),
        ("2026-11-10", "Diwali Balipratipada, by XBOM"),
        ("2026-11-24", "Guru Nanak Jayanti, by XBOM"),
        ("2026-12-25", "Christmas, by XBOM"),
        ("2026-01-15", "elections, by the dated configuration"),
        ("2027-01-26", "Republic Day, beyond the calendar"),
        ("2027-01-30", "a Saturday beyond the calendar"),
    ],
)
def test_weekends_and_holidays_have_no_session(
    calendar: TradingCalendar, day: str, why: str
) -> None:
    for time in ("09:05", "11:00", "15:20"):
        status = calendar.status(ist(f"{day} {time}"))
        assert (status.open, status.session, status.session_date) == (False, CLOSED, None), why


@pytest.mark.parametrize(
    ("now", "opens", "closes"),
    [
        ("2026-11-20 09:14:59", "2026-11-20 09:15", "2026-11-20 15:30"),
        ("2026-11-20 09:15", "2026-11-23 09:15", "2026-11-20 15:30"),
        ("2026-11-20 15:29:59", "2026-11-23 09:15", "2026-11-20 15:30"),
        ("2026-11-20 15:30", "2026-11-23 09:15", "2026-11-23 15:30"),
        ("2026-11-21 12:00", "2026-11-23 09:15", "2026-11-23 15:30"),
        # The day after is a holiday.
        ("2026-11-23 16:00", "2026-11-25 09:15", "2026-11-25 15:30"),
        ("2026-12-31 16:00", "2027-01-01 09:15", "2027-01-01 15:30"),
    ],
)
def test_the_next_opening_and_the_next_close(
    calendar: TradingCalendar, now: str, opens: str, closes: str
) -> None:
    status = calendar.status(ist(now))

    assert (status.next_open, status.next_close) == (ist(opens), ist(closes))


def test_muhurat_trading_opens_on_a_holiday_of_the_calendar(calendar: TradingCalendar) -> None:
    during = calendar.status(ist("2025-10-21 14:00"))

    assert (during.open, during.session, during.occasion) == (True, REGULAR, "Muhurat trading")
    assert during.next_close == ist("2025-10-21 14:45")
    assert during.next_open == ist("2025-10-23 09:15")
    assert calendar.status(ist("2025-10-21 13:30")).session is PRE_OPEN
    assert not calendar.is_open(ist("2025-10-21 11:00"))
    assert not calendar.is_open(ist("2025-10-21 14:45"))
    assert calendar.next_open(ist("2025-10-20 16:00")) == ist("2025-10-21 13:45")


def test_a_special_session_on_a_sunday_is_a_session(calendar: TradingCalendar) -> None:
    assert calendar.is_open(ist("2026-02-01 11:00"))
    assert calendar.status(ist("2026-02-01 11:00")).occasion == "Union Budget"
    assert calendar.status(ist("2026-02-02 11:00")).occasion is None


def test_beyond_the_calendar_every_weekday_is_a_session(calendar: TradingCalendar) -> None:
    assert calendar.status(ist("2026-11-23 12:00")).holidays_known_until == calendar.known_until
    later = calendar.known_until + timedelta(days=400)
    for day in (later + timedelta(days=n) for n in range(40)):
        holiday = day.weekday() >= 5 or (day.month, day.day) in read_rules().yearly
        assert calendar.is_open(ist(f"{day} 11:00")) is not holiday
    assert calendar.next_open(ist("2050-01-01 00:00")) > ist("2050-01-01 00:00")


@pytest.mark.parametrize(
    ("since", "until", "minutes"),
    [
        ("2026-11-23 10:00", "2026-11-23 10:20", 20),
        ("2026-11-23 09:00", "2026-11-23 09:20", 5),
        # Prices do not move in the closing auction and at night.
        ("2026-11-23 15:10", "2026-11-23 15:29", 5),
        ("2026-11-23 15:10", "2026-11-23 23:00", 5),
        ("2026-11-23 15:30", "2026-11-25 09:14", 0),
        ("2026-11-23 15:10", "2026-11-25 09:20", 10),
        ("2026-11-20 15:00", "2026-11-25 09:20", 15 + 360 + 5),
        ("2026-07-31 15:10", "2026-07-31 16:00", 20),
        ("2025-10-20 15:30", "2025-10-21 14:00", 15),
        # A quote older than any pause is old by the wall clock, without a lookup.
        ("2026-10-01 15:30", "2026-11-23 15:30", 53 * 24 * 60),
        ("1970-01-01 00:00", "2026-11-23 00:00", 20_780 * 24 * 60),
        ("2026-11-23 10:20", "2026-11-23 10:00", 0),
    ],
)
def test_trading_time_counts_only_while_prices_move(
    calendar: TradingCalendar, since: str, until: str, minutes: int
) -> None:
    assert calendar.trading_time(ist(since), ist(until)) == timedelta(minutes=minutes)
