"""Rules of brackets, margins and positions that hold for all prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.candle_exits import exit_in
from app.domain.fill import Exit, ExitReason
from app.domain.money import PAISA, ZERO, required_margin, to_paisa
from app.domain.position import Position
from app.domain.quote import Quote, Source
from app.domain.side import TradeType
from app.domain.triggers import SettledFrom
from app.models import PortfolioDelta

OPENING = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
BOTH = (TradeType.BUY, TradeType.SELL)

prices = st.integers(1, 10_000_000_00).map(lambda paise: paise * PAISA)
# Close together, so that levels are met exactly, passed, or missed by a paisa.
near_prices = st.integers(9_900, 10_100).map(lambda paise: paise * PAISA)
quantities = st.integers(1, 10_000_000)
sides = st.sampled_from(BOTH)
rates = st.integers(1, 10_000).map(lambda share: Decimal(share) / 10_000)


def quote(price: Decimal, second: int = 0, source: Source = Source.REPLAY) -> Quote:
    return Quote("^NSEI", price, source, OPENING + timedelta(seconds=second))


def open_at(side: TradeType, price: Decimal, quantity: int = 1) -> Bracket:
    return Bracket.open(side, quantity, quote(price))


@st.composite
def brackets(draw: st.DrawFn) -> Bracket:
    """Draw a bracket at 100 rupees with a stop, a target, or both."""
    side, quantity = draw(sides), draw(quantities)
    below = draw(st.none() | st.integers(9_900, 9_999).map(lambda paise: paise * PAISA))
    above = draw(st.none() | st.integers(10_001, 10_100).map(lambda paise: paise * PAISA))
    buying = side is TradeType.BUY
    stop, target = (below, above) if buying else (above, below)
    return Bracket.open(side, quantity, quote(Decimal(100)), stop_loss=stop, target_price=target)


def has_level(bracket: Bracket) -> bool:
    return bracket.stop_loss is not None or bracket.target_price is not None


def beyond_levels(bracket: Bracket) -> list[Decimal]:
    """Return each level of a bracket, and a price well beyond it."""
    below, above = bracket.trigger_below, bracket.trigger_above
    found = [] if below is None else [below, below - 7]
    return found if above is None else [*found, above, above + 7]


def first_exit(bracket: Bracket, ticks: list[Quote]) -> Exit | None:
    return next((exit for exit in map(bracket.triggered_by, ticks) if exit), None)


def candle_of(ticks: list[Decimal]) -> Candle:
    return Candle.of([quote(price, second=60) for price in ticks])


@given(prices, prices, quantities)
def test_a_buyer_earns_what_a_seller_loses(entry: Decimal, price: Decimal, quantity: int) -> None:
    buyer, seller = (open_at(side, entry, quantity) for side in BOTH)

    assert buyer.pnl_at(price) + seller.pnl_at(price) == 0
    assert not (seller.pnl_at(price).is_signed() and seller.pnl_at(price) == 0)


@given(sides, st.lists(prices, min_size=2, max_size=20), quantities)
def test_a_price_move_earns_the_same_in_any_number_of_trades(
    side: TradeType, path: list[Decimal], quantity: int
) -> None:
    stages = pairwise(path)
    by_stages = sum(open_at(side, start, quantity).pnl_at(end) for start, end in stages)

    assert by_stages == open_at(side, path[0], quantity).pnl_at(path[-1])


@given(sides, prices, prices, st.lists(st.integers(1, 100_000), min_size=1, max_size=20))
def test_a_trade_earns_the_sum_of_its_parts(
    side: TradeType, entry: Decimal, price: Decimal, parts: list[int]
) -> None:
    whole = open_at(side, entry, sum(parts)).pnl_at(price)

    assert whole == sum(open_at(side, entry, part).pnl_at(price) for part in parts)


@given(prices, quantities, rates)
def test_a_margin_is_rounded_once_and_half_a_paisa_up(
    price: Decimal, quantity: int, rate: Decimal
) -> None:
    exact = Fraction(price) * quantity * Fraction(rate) * 100
    margin = required_margin(price, quantity, rate)

    assert margin * 100 == int(exact + Fraction(1, 2))
    assert to_paisa(margin) == margin


@given(prices, prices, quantities, sides)
def test_pnl_is_whole_paise_without_rounding(
    entry: Decimal, price: Decimal, quantity: int, side: TradeType
) -> None:
    pnl = open_at(side, entry, quantity).pnl_at(price)

    assert Fraction(pnl) == (Fraction(price) - Fraction(entry)) * quantity * side.sign
    assert to_paisa(pnl) == pnl


@given(st.lists(st.tuples(sides, prices, st.integers(1, 100_000)), max_size=12), prices, rates)
def test_closing_every_trade_releases_its_margin_and_leaves_no_position(
    trades: list[tuple[TradeType, Decimal, int]], price: Decimal, rate: Decimal
) -> None:
    exposure, blocked, settlement = Position(), ZERO, PortfolioDelta("alice")
    brackets = [open_at(*trade) for trade in trades]
    margins = [required_margin(bracket.entry_price, bracket.quantity, rate) for bracket in brackets]
    for bracket, margin in zip(brackets, margins, strict=True):
        exposure += Position.of(bracket)
        blocked += margin
    unrealized = exposure.pnl_at(price)
    for bracket, margin in zip(brackets, margins, strict=True):
        settlement.add("^NSEI", Position.of(bracket), margin, bracket.pnl_at(price))

    assert settlement.margin == blocked
    assert settlement.pnl == unrealized
    assert exposure + settlement.exposure.get("^NSEI", Position()) == Position()


@given(brackets(), st.lists(near_prices, max_size=30), st.data())
def test_the_closing_tick_does_not_depend_on_the_grouping_of_ticks(
    bracket: Bracket, path: list[Decimal], data: st.DataObject
) -> None:
    ticks = [quote(price, second) for second, price in enumerate(path, 1)]
    cut = data.draw(st.integers(0, len(ticks)))

    closed = first_exit(bracket, ticks[:cut]) or first_exit(bracket, ticks[cut:])
    assert closed == first_exit(bracket, ticks)


@given(brackets(), near_prices)
def test_a_price_reaches_at_most_one_level(bracket: Bracket, price: Decimal) -> None:
    exit = bracket.triggered_by(quote(price, 1))
    reached = [
        reason
        for reason, level in (
            (ExitReason.STOP_LOSS, bracket.stop_loss),
            (ExitReason.TARGET, bracket.target_price),
        )
        if level is not None and (price - level) * (level - bracket.entry_price) >= 0
    ]

    assert reached == ([exit.reason] if exit else [])
    if exit:
        assert (exit.pnl > 0) is (exit.reason is ExitReason.TARGET)
        is_target = exit.reason is ExitReason.TARGET
        assert (exit.price, exit.settled_from) == (
            bracket.target_price if is_target else price,
            None,
        )


@given(brackets(), st.lists(near_prices, min_size=1, max_size=20))
def test_a_candle_closes_a_bracket_exactly_when_its_ticks_would(
    bracket: Bracket, path: list[Decimal]
) -> None:
    by_ticks = first_exit(bracket, [quote(price, 60) for price in path])
    by_candle = exit_in(candle_of(path), bracket)

    assert (by_candle is None) is (by_ticks is None)
    if by_candle:
        assert by_candle.settled_from is SettledFrom.GAP


@given(brackets().filter(has_level), st.data(), st.lists(near_prices, max_size=20))
def test_a_candle_that_opened_beyond_a_level_closes_as_its_first_tick_would(
    bracket: Bracket, data: st.DataObject, path: list[Decimal]
) -> None:
    path = [data.draw(st.sampled_from(beyond_levels(bracket))), *path]
    jumped = bracket.triggered_by(quote(path[0], 60))
    exit = exit_in(candle_of(path), bracket)

    assert exit is not None
    assert jumped is not None
    assert (exit.price, exit.reason, exit.pnl) == (jumped.price, jumped.reason, jumped.pnl)
    assert exit.quote.price == path[0]


@given(brackets(), st.lists(near_prices, min_size=1, max_size=20))
def test_a_candle_closes_at_the_level_it_reached_and_at_the_stop_if_it_reached_both(
    bracket: Bracket, path: list[Decimal]
) -> None:
    # Between any two levels.
    candle = candle_of([bracket.entry_price, *path])
    exit = exit_in(candle, bracket)
    stop, target = bracket.stop_loss, bracket.target_price

    if stop is not None and candle.low <= stop <= candle.high:
        expected = (ExitReason.STOP_LOSS, stop)
    elif target is not None and candle.low <= target <= candle.high:
        expected = (ExitReason.TARGET, target)
    else:
        assert exit is None
        return
    assert exit is not None
    assert (exit.reason, exit.price) == expected
    assert exit.pnl == bracket.pnl_at(expected[1])


@given(brackets(), near_prices, st.sampled_from(Source), st.sampled_from(Source))
def test_a_real_entry_never_closes_at_a_simulated_price(
    bracket: Bracket, price: Decimal, entry_source: Source, source: Source
) -> None:
    entry = quote(bracket.entry_price, 0, entry_source)
    opened = Bracket.open(
        bracket.trade_type,
        bracket.quantity,
        entry,
        stop_loss=bracket.stop_loss,
        target_price=bracket.target_price,
    )
    made_up = entry_source.is_real and source is Source.MOCK
    exit = opened.triggered_by(quote(price, 1, source))

    assert (
        (exit is None)
        if made_up
        else (exit is None) is (bracket.triggered_by(quote(price, 1)) is None)
    )
