"""The simulated market follows corporate actions: its prices are divided from an open on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from app.domain.candle import Interval
from app.domain.corporate_actions import ActionKind, CorporateAction, Ratio
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.instruments.registry import load_instruments
from tests.support.market import ManualClock

SHARE = "RELIANCE.NS"
OPEN = datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
BONUS = CorporateAction(
    SHARE, date(2026, 11, 25), ActionKind.BONUS, OPEN - timedelta(minutes=15), OPEN, Ratio(1, 1)
)


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
