"""P&L: exact, symmetric, and independent of the order of summation."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from operator import add

from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.bracket import Bracket
from app.domain.money import PAISA, ZERO, is_whole_paise, required_margin, to_paisa
from app.domain.position import Position
from app.domain.side import TradeType
from app.models import PortfolioDelta
from tests.property.strategies import brackets, prices, quantities, sides
from tests.support.quotes import bracket

rates = st.integers(1, 10_000).map(lambda n: Decimal(n) / 10_000)


@given(prices, prices, quantities)
def test_a_buy_earns_what_the_same_sell_loses(entry: Decimal, exit: Decimal, quantity: int) -> None:
    bought = bracket(TradeType.BUY, quantity, entry)
    sold = bracket(TradeType.SELL, quantity, entry)

    assert bought.pnl_at(exit) + sold.pnl_at(exit) == 0


@given(sides, prices, prices, quantities)
def test_a_round_trip_earns_nothing(
    side: TradeType, there: Decimal, back: Decimal, quantity: int
) -> None:
    out = bracket(side, quantity, there).pnl_at(back)
    home = bracket(side, quantity, back).pnl_at(there)

    assert out + home == 0


@given(sides, st.lists(prices, min_size=2, max_size=8), quantities)
def test_the_path_of_the_price_does_not_matter(
    side: TradeType, way: list[Decimal], quantity: int
) -> None:
    legs = (bracket(side, quantity, start).pnl_at(end) for start, end in pairwise(way))

    assert sum(legs, ZERO) == bracket(side, quantity, way[0]).pnl_at(way[-1])


@given(sides, prices, prices, quantities, st.integers(1, 1_000))
def test_closing_in_two_parts_earns_the_same_as_closing_once(
    side: TradeType, entry: Decimal, exit: Decimal, quantity: int, rest: int
) -> None:
    parts = [bracket(side, each, entry).pnl_at(exit) for each in (quantity, rest)]

    assert sum(parts, ZERO) == bracket(side, quantity + rest, entry).pnl_at(exit)


@given(brackets(prices), prices)
def test_the_pnl_of_whole_paise_is_exact_and_in_whole_paise(
    opened: Bracket, price: Decimal
) -> None:
    pnl = opened.pnl_at(price)
    exact = (Fraction(price) - Fraction(opened.entry_price)) * opened.quantity

    assert Fraction(pnl) == exact * opened.trade_type.sign
    assert is_whole_paise(pnl)
    assert pnl.as_tuple().exponent == -2


@given(brackets(prices), prices)
def test_no_pnl_is_a_negative_zero(opened: Bracket, price: Decimal) -> None:
    pnl = opened.pnl_at(price)

    assert (pnl < 0) is pnl.is_signed()


@given(st.decimals(-(10**12), 10**12, allow_nan=False, places=6))
def test_nothing_is_rounded_twice(amount: Decimal) -> None:
    rounded = to_paisa(amount)

    assert to_paisa(rounded) == rounded
    assert is_whole_paise(rounded)
    assert abs(rounded - amount) <= PAISA / 2


@given(prices, quantities, rates)
def test_a_margin_is_rounded_once_half_up(price: Decimal, quantity: int, rate: Decimal) -> None:
    margin = required_margin(price, quantity, rate)
    exact = Fraction(price) * quantity * Fraction(rate)
    # Half up, in integers: the floor of the paise plus a half.
    paise = (exact * 100 + Fraction(1, 2)).__floor__()

    assert margin == paise * PAISA
    assert margin == (price * quantity * rate).quantize(PAISA, ROUND_HALF_UP)


@given(prices, prices, quantities, rates)
def test_a_more_expensive_trade_never_needs_less_margin(
    price: Decimal, other: Decimal, quantity: int, rate: Decimal
) -> None:
    assume(price <= other)

    assert required_margin(price, quantity, rate) <= required_margin(other, quantity, rate)


@given(st.lists(brackets(), max_size=20), prices)
def test_a_position_earns_what_its_trades_earn(held: list[Bracket], price: Decimal) -> None:
    exposure = reduce(add, map(Position.of, held), Position())

    assert exposure.trades == len(held)
    assert exposure.pnl_at(price) == sum((each.pnl_at(price) for each in held), ZERO)


@given(st.lists(brackets(), max_size=12), st.data())
def test_closing_some_trades_leaves_the_position_of_the_others(
    held: list[Bracket], data: st.DataObject
) -> None:
    closed = [each for each in held if data.draw(st.booleans())]
    rest = [each for each in held if not any(each is gone for gone in closed)]
    exposure = reduce(add, map(Position.of, held), Position())
    for each in closed:
        exposure += -Position.of(each)

    assert exposure == reduce(add, map(Position.of, rest), Position())


@given(st.lists(st.tuples(sides.map(str), brackets(), prices), max_size=12))
def test_a_portfolio_delta_is_the_sum_of_its_trades(
    closed: list[tuple[str, Bracket, Decimal]],
) -> None:
    settlement = PortfolioDelta("alice")
    for symbol, each, price in closed:
        settlement.add(symbol, Position.of(each), PAISA, each.pnl_at(price))

    pnls = [each.pnl_at(price) for _, each, price in closed]
    assert settlement.pnl == sum(pnls, ZERO)
    assert settlement.margin == len(closed) * PAISA
    assert (settlement.trades, settlement.winners) == (len(closed), sum(p > 0 for p in pnls))
    for symbol in {symbol for symbol, _, _ in closed}:
        its = [-Position.of(each) for name, each, _ in closed if name == symbol]
        assert settlement.exposure[symbol] == reduce(add, its, Position())
