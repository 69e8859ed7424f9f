"""The simulated market follows corporate actions: its prices are divided from an open on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from app.domain.candle import Interval
from app.domain.corporate_actions import ActionKind, CorporateAction, Ratio
from app.market_data.feeds.course import Course
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.feeds.simulated_hours import seconds_of
from app.market_data.instruments.registry import load_instruments
from tests.support.market import ManualClock

SHARE = "RELIANCE.NS"
OPEN = datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
BONUS = CorporateAction(
    SHARE, date(2026, 11, 25), ActionKind.BONUS, OPEN - timedelta(minutes=15), OPEN, Ratio(1, 1)
)
AMOUNT = Decimal(20)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DIVIDEND = replace(BONUS, kind=ActionKind.DIVIDEND, ratio=None, amount=AMOUNT)


def test_prices_and_candles_are_divided_from_the_open_on() -> None:
    clock = ManualClock(OPEN - timedelta(minutes=5))
    plain = SimulatedFeed(load_instruments(), clock, seed="7")
    divided = SimulatedFeed(
        load_instruments(), clock, seed="7", actions=lambda each: [BONUS] * (each == SHARE)
    )
    assert divided.latest(SHARE) == plain.latest(SHARE)

    clock.advance(600)

    before, after = plain.latest(SHARE), divided.latest(SHARE)
    assert before is not None
    assert after is not None
    assert abs(after.price - before.price / 2) <= Decimal("0.05")
    assert (before.details.bid is None) is (after.details.bid is None)
    assert divided.latest("TCS.NS") == plain.latest("TCS.NS")
    span = OPEN - timedelta(minutes=3), OPEN + timedelta(minutes=3)
    candles = zip(
        plain.history(SHARE, Interval.MINUTE, *span),
        divided.history(SHARE, Interval.MINUTE, *span),
        strict=True,
    )
    ratios = [round(old.close / new.close, 2) for old, new in candles]
    assert ratios == [1, 1, 1, 2, 2, 2]


def test_a_market_that_began_after_an_action_is_not_divided_again() -> None:
    clock = ManualClock(OPEN + timedelta(minutes=1))
    price = Decimal("700.00")

    feed = SimulatedFeed(
        load_instruments(), clock, last_prices={SHARE: price}, actions=lambda _symbol: [BONUS]
    )

    quote = feed.latest(SHARE)
    assert quote is not None
    assert abs(quote.price - price) < price / 20


def test_a_dividend_lowers_prices_by_what_it_pays_from_the_open_on() -> None:
    clock = ManualClock(OPEN - timedelta(minutes=5))
    plain = SimulatedFeed(load_instruments(), clock, seed="7")
    paying = SimulatedFeed(load_instruments(), clock, seed="7", actions=lambda _each: [DIVIDEND])
    assert paying.latest(SHARE) == plain.latest(SHARE)

    clock.advance(300)

    before, after = plain.latest(SHARE), paying.latest(SHARE)
    assert before is not None
    assert after is not None
    assert abs(before.price - after.price - AMOUNT) <= Decimal("0.20")
    assert after.details.volume == before.details.volume


def test_the_past_after_a_dividend_is_the_same_for_a_process_that_starts_later() -> None:
    clock, begins, ends = ManualClock(OPEN + 2 * HOUR), OPEN - 2 * MINUTE, OPEN + 2 * HOUR
    actions = [DIVIDEND, replace(BONUS, opens_at=OPEN + HOUR)]

    def start() -> SimulatedFeed:
        course = Course("7", seconds_of(OPEN - HOUR))
        return SimulatedFeed(
            load_instruments(), clock, course=course, actions=lambda _each: actions
        )

    first = start()
    assert first.latest(SHARE)
    past = first.history(SHARE, Interval.MINUTE, begins, ends)

    clock.advance(86_400)

    assert start().history(SHARE, Interval.MINUTE, begins, ends) == past
    assert past[1].close - past[2].open > AMOUNT / 2
    assert past[-1].close < past[0].close * Decimal("0.6")
