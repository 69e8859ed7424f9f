"""Alerts: each fires at the first price that reaches a level, and at no other."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.alert import AlertCondition, Direction, Trigger
from app.domain.candle import Candle
from app.domain.errors import AlreadyCrossed, InvalidRequest
from app.domain.quote import REAL_SOURCES, Quote, Source
from app.domain.triggers import SettledFrom, triggered_by
from tests.property.strategies import near_prices
from tests.support.quotes import NOON, quote

walks = st.lists(near_prices, min_size=1, max_size=30)
optional_prices = st.none() | near_prices


@st.composite
def levels(draw: st.DrawFn) -> AlertCondition:
    """Draw one level, or one on each side of the price."""
    price = draw(near_prices)
    above = draw(st.none() | near_prices.filter(lambda each: each > price))
    below = draw(st.none() | near_prices.filter(lambda each: each < price))
    assume(above is not None or below is not None)
    return AlertCondition.set_at(quote(price), above=above, below=below)


def meets(alert: AlertCondition, price: Decimal) -> bool:
    """Return whether a price is at or past a level, as the database query does."""
    return (alert.below is not None and alert.below >= price) or (
        alert.above is not None and alert.above <= price
    )


def candle_of(walk: list[Decimal], seconds: int = 60) -> Candle:
    return Candle.of([quote(price, timestamp=NOON + timedelta(seconds=seconds)) for price in walk])


@given(levels(), near_prices)
def test_a_quote_crosses_exactly_what_the_index_would_find(
    alert: AlertCondition, price: Decimal
) -> None:
    assert (alert.crossed_by(quote(price)) is not None) is meets(alert, price)


@given(levels(), walks)
def test_the_lowest_and_highest_price_find_every_alert_that_a_path_crosses(
    alert: AlertCondition, walk: list[Decimal]
) -> None:
    crossed = any(alert.crossed_by(quote(price)) for price in walk)

    assert crossed is (meets(alert, min(walk)) or meets(alert, max(walk)))


@given(levels(), near_prices)
def test_the_direction_is_that_of_the_level_reached(alert: AlertCondition, price: Decimal) -> None:
    crossing = alert.crossed_by(quote(price))

    if crossing is not None:
        rising = crossing.direction is Direction.ABOVE
        level = alert.level(crossing.direction)
        assert level == (alert.above if rising else alert.below)
        assert price >= level if rising else price <= level


@given(optional_prices, optional_prices, near_prices)
def test_levels_are_accepted_on_their_own_side_of_the_price_only(
    above: Decimal | None, below: Decimal | None, price: Decimal
) -> None:
    try:
        AlertCondition.set_at(quote(price), above=above, below=below)
        refusal = None
    except InvalidRequest as error:
        refusal = error

    if above is None and below is None:
        assert refusal is not None
        assert refusal.code == "validation_error"
    else:
        wrong = (above is not None and above <= price) or (below is not None and below >= price)
        assert isinstance(refusal, AlreadyCrossed) is wrong
        assert refusal is None or refusal.details["price"] == price


@given(levels(), near_prices, st.sampled_from(Source), st.sampled_from(Source))
def test_an_alert_set_at_a_real_price_ignores_only_mock_prices(
    alert: AlertCondition, price: Decimal, set_at: Source, source: Source
) -> None:
    alert = AlertCondition(alert.above, alert.below, set_at, NOON)
    crossing = alert.crossed_by(quote(price, source))

    is_ignored = set_at in REAL_SOURCES and source is Source.MOCK
    assert (crossing is not None) is (meets(alert, price) and not is_ignored)


@given(levels(), walks)
def test_a_candle_crosses_a_level_if_one_of_its_prices_does(
    alert: AlertCondition, walk: list[Decimal]
) -> None:
    candle = candle_of(walk)
    crossing = alert.crossed_in(candle)

    assert (crossing is not None) is any(meets(alert, price) for price in walk)
    if crossing is not None:
        assert crossing.settled_from is SettledFrom.GAP
        assert candle.low <= crossing.quote.price <= candle.high
        assert crossing.quote.price in (candle.open, alert.above, alert.below)
        assert crossing.quote.timestamp == candle.time


@given(levels(), walks)
def test_a_candle_that_opened_beyond_a_level_crosses_it_at_the_open(
    alert: AlertCondition, walk: list[Decimal]
) -> None:
    crossing = alert.crossed_in(candle_of(walk))

    assert (crossing is not None and crossing.quote.price == walk[0]) is meets(alert, walk[0])


@pytest.mark.parametrize(("opening", "met"), [(102, "below"), (108, "above")])
def test_of_two_levels_in_a_candle_the_one_nearer_to_the_open_fires(opening: int, met: str) -> None:
    alert = AlertCondition.set_at(quote(105), above=Decimal(110), below=Decimal(100))

    crossing = alert.crossed_in(candle_of([Decimal(each) for each in (opening, 120, 90, 105)]))

    assert crossing is not None
    assert crossing.direction.value == met
    assert crossing.quote.price == alert.level(crossing.direction)


@given(levels(), walks)
def test_a_candle_from_before_the_alert_is_ignored(
    alert: AlertCondition, walk: list[Decimal]
) -> None:
    assert alert.crossed_in(candle_of(walk, seconds=-1)) is None


class Waiter:
    def __init__(self, number: int, levels: AlertCondition) -> None:
        self.id = number
        self.levels = levels


@given(st.lists(levels(), max_size=8), st.lists(near_prices, max_size=30))
def test_each_alert_fires_at_its_first_tick_and_in_order(
    alerts: list[AlertCondition], walk: list[Decimal]
) -> None:
    waiting = [Waiter(number, each) for number, each in enumerate(alerts)]
    ticks = [quote(price) for price in walk]

    def find(_symbol: str, lowest: Decimal, highest: Decimal) -> list[Waiter]:
        return [
            each for each in waiting if meets(each.levels, lowest) or meets(each.levels, highest)
        ]

    def react(each: Waiter, tick: Quote) -> Trigger | None:
        return each.levels.crossed_by(tick)

    found = [(each.id, crossing.quote) for each, crossing in triggered_by(ticks, find, react)]

    expected = []
    left = list(waiting)
    for tick in ticks:
        crossed = [each for each in left if meets(each.levels, tick.price)]
        expected += [(each.id, tick) for each in crossed]
        left = [each for each in left if each not in crossed]
    assert found == expected
