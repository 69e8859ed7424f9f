"""Triggers: a bracket closes at the first tick that reaches a level, and only then."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.domain.bracket import Bracket
from app.domain.errors import WrongSideOfPrice
from app.domain.fill import ExitReason
from app.domain.money import PAISA
from app.domain.side import TradeType
from tests.property.strategies import brackets, near_prices, sides
from tests.support.quotes import bracket, quote

walks = st.lists(near_prices, min_size=1, max_size=30)


def reaches(opened: Bracket, price: Decimal) -> bool:
    """Return whether a price is at or past a trigger, as the database query does."""
    below, above = opened.trigger_below, opened.trigger_above
    return (below is not None and below >= price) or (above is not None and above <= price)


@given(brackets(), near_prices)
def test_a_quote_closes_exactly_what_the_index_would_find(opened: Bracket, price: Decimal) -> None:
    assert (opened.triggered_by(quote(price)) is not None) is reaches(opened, price)


@given(brackets(), walks)
def test_the_lowest_and_highest_price_find_every_bracket_that_a_path_closes(
    opened: Bracket, walk: list[Decimal]
) -> None:
    closed = any(opened.triggered_by(quote(price)) for price in walk)

    assert closed is (reaches(opened, min(walk)) or reaches(opened, max(walk)))


@given(brackets(), walks)
def test_a_bracket_closes_at_the_first_tick_that_reaches_it(
    opened: Bracket, walk: list[Decimal]
) -> None:
    ticks = [quote(price) for price in walk]
    exits = [exit for exit in map(opened.triggered_by, ticks) if exit]
    reaching = [tick for tick in ticks if reaches(opened, tick.price)]

    assert [exit.quote for exit in exits[:1]] == reaching[:1]


@given(brackets())
def test_a_bracket_is_not_triggered_by_its_entry_price(opened: Bracket) -> None:
    assert opened.triggered_by(quote(opened.entry_price)) is None


@given(brackets(), st.integers(0, 30))
def test_a_stop_loss_loses_and_a_target_earns(opened: Bracket, past: int) -> None:
    ticks = []
    if opened.trigger_below is not None:
        ticks.append(quote(opened.trigger_below - past * PAISA))
    if opened.trigger_above is not None:
        ticks.append(quote(opened.trigger_above + past * PAISA))

    for tick in ticks:
        exit = opened.triggered_by(tick)
        assert exit is not None
        assert (exit.pnl < 0) is (exit.reason is ExitReason.STOP_LOSS)
        assert (exit.pnl > 0) is (exit.reason is ExitReason.TARGET)
        is_target = exit.reason is ExitReason.TARGET
        assert exit.price == (opened.target_price if is_target else tick.price)


@given(brackets())
def test_the_levels_of_an_open_bracket_are_on_either_side_of_its_entry(opened: Bracket) -> None:
    assert opened.trigger_below is None or opened.trigger_below < opened.entry_price
    assert opened.trigger_above is None or opened.trigger_above > opened.entry_price


@given(sides, near_prices, near_prices)
def test_a_level_is_accepted_on_its_valid_side_only(
    side: TradeType, entry: Decimal, level: Decimal
) -> None:
    buying = side is TradeType.BUY
    for stop, target, right in (
        (level, None, level < entry if buying else level > entry),
        (None, level, level > entry if buying else level < entry),
    ):
        try:
            bracket(side, 1, entry, stop_loss=stop, target_price=target)
            taken = True
        except WrongSideOfPrice:
            taken = False
        assert taken is right
