"""The guard and the clock on the exchange's wall: a price ages in trading time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from flask import Flask

from app.domain.quote import Quote, Source
from app.market_data.calendar import ExchangeDays, TradingCalendar, load_exchange_days
from app.market_data.tick_filter import DELAYS, RejectReason, TickFilter
from tests.support.exchange_time import advance_to, ist
from tests.support.market import ManualClock, ScriptedFeed

OLDEST = timedelta(seconds=30)
SECOND = timedelta(seconds=1)
ANGEL_ONE, YAHOO = Source.ANGEL_ONE, Source.YAHOO


@pytest.fixture(scope="module")
def calendar() -> TradingCalendar:
    return TradingCalendar()


@pytest.fixture
def tick_filter(clock: ManualClock, calendar: TradingCalendar) -> TickFilter:
    return TickFilter(
        clock, max_age=OLDEST, max_move=Decimal("0.2"), calendar=calendar, delays=DELAYS
    )


def quote(time: datetime, source: Source = ANGEL_ONE, price: int = 25_000) -> Quote:
    return Quote("^NSEI", Decimal(price), source, time)


@pytest.mark.parametrize(
    ("now", "time"),
    [
        ("2026-11-23 20:00", "2026-11-23 15:30"),
        ("2026-11-23 20:00", "2026-11-23 15:34:40"),
        # A share without a price in the closing auction.
        ("2026-11-23 15:28", "2026-11-23 15:14:59"),
        ("2026-11-24 12:00", "2026-11-23 15:14:59"),
        ("2026-11-25 09:14:59", "2026-11-23 15:30"),
        # No trades yet in the first seconds of the day.
        ("2026-11-25 09:15:30", "2026-11-23 15:30"),
    ],
)
@pytest.mark.parametrize("source", [ANGEL_ONE, YAHOO])
def test_the_last_close_is_admitted_until_the_exchange_opens(
    tick_filter: TickFilter, clock: ManualClock, now: str, time: str, source: Source
) -> None:
    advance_to(clock, ist(now))

    assert tick_filter.admit([quote(ist(time), source)]) != []
    assert not tick_filter.rejected


@pytest.mark.parametrize(
    ("now", "time"),
    [
        ("2026-11-23 11:00", "2026-11-23 10:59:29"),
        # It stopped an hour before the close.
        ("2026-11-23 20:00", "2026-11-23 14:30"),
        ("2026-11-25 09:15:31", "2026-11-23 15:30"),
        ("2026-11-25 11:00", "2026-11-23 15:30"),
        ("2026-11-23 20:00", "2026-10-23 15:30"),
    ],
)
def test_a_price_that_stopped_while_the_exchange_was_open_is_rejected(
    tick_filter: TickFilter, clock: ManualClock, now: str, time: str
) -> None:
    advance_to(clock, ist(now))

    assert tick_filter.admit([quote(ist(time))] * 5) == []
    assert tick_filter.rejected == {RejectReason.STALE: 5}


@pytest.mark.parametrize(
    ("now", "time", "held"),
    [
        ("2026-11-23 11:00", "2026-11-23 10:39:30", False),
        ("2026-11-23 11:00", "2026-11-23 10:39:29", True),
        # Prices of the first twenty minutes arrive after them.
        ("2026-11-25 09:35:30", "2026-11-23 15:30", False),
        ("2026-11-25 09:35:31", "2026-11-23 15:30", True),
    ],
)
def test_yahoo_may_be_twenty_minutes_late(
    tick_filter: TickFilter, clock: ManualClock, now: str, time: str, held: bool
) -> None:
    advance_to(clock, ist(now))

    assert (tick_filter.admit([quote(ist(time), YAHOO)]) == []) is held


def test_a_simulated_price_ages_at_night_too(tick_filter: TickFilter, clock: ManualClock) -> None:
    advance_to(clock, ist("2026-11-23 20:00"))

    assert tick_filter.admit([quote(clock.now() - OLDEST - SECOND, Source.MOCK)]) == []
    assert tick_filter.admit([quote(clock.now() - OLDEST, Source.MOCK)]) != []


def test_the_calendar_is_loaded_only_for_quotes_that_look_old(clock: ManualClock) -> None:
    loads: list[ExchangeDays] = []

    def count_load() -> ExchangeDays:
        loads.append(load_exchange_days())
        return loads[-1]

    calendar = TradingCalendar(load=count_load)
    tick_filter = TickFilter(clock, max_age=OLDEST, max_move=Decimal("0.2"), calendar=calendar)

    tick_filter.admit([quote(clock.now()), quote(clock.now() - 2 * OLDEST, Source.MOCK)])
    assert loads == []

    tick_filter.admit([quote(clock.now() - 2 * OLDEST)])
    assert len(loads) == 1


@pytest.mark.parametrize("source", [ANGEL_ONE, YAHOO])
def test_a_server_that_starts_at_night_shows_the_last_close(
    make_app: Callable[..., Flask], feed: ScriptedFeed, clock: ManualClock, source: Source
) -> None:
    feed.source = source
    advance_to(clock, ist("2026-11-20 15:30"))
    feed.set("^NSEI", 24_321)
    advance_to(clock, ist("2026-11-22 23:00"))

    answer = make_app().test_client().get("/market/live/NIFTY")

    assert answer.status_code == 200
    assert answer.get_json()["price"] == 24_321.0
