"""Entries of the harsh profile that are filled in part: whole lots, exact margins, one seed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.domain.entry import Entered, EntryOrder
from app.domain.fill import FillRule
from app.domain.fill_profile import FillModel, FillProfile, trade_seed
from app.domain.money import PAISA
from app.domain.order import OrderType, TimeInForce
from app.domain.quote import Quote
from app.domain.side import TradeType
from tests.property.test_entry_rules import candle_of
from tests.support.quotes import NOON, entry_order, quote

LIMIT = Decimal("95.05")
numbers = st.integers(1, 10_000)
# A quantity in lots, and the size of a lot.
lots = st.tuples(st.integers(1, 100), st.sampled_from([1, 5, 75]))


def harsh(number: int, lot_size: int = 1, profile: FillProfile = FillProfile.HARSH) -> FillModel:
    seed = trade_seed("0", "asha", "default", number)
    return FillModel(profile, seed, PAISA, lot_size=lot_size, slippage_bps=Decimal(2))


def limit_order(model: FillModel, quantity: int, side: TradeType = TradeType.BUY) -> EntryOrder:
    placed = quote(100 if side is TradeType.BUY else 90)
    order = entry_order(OrderType.LIMIT, side, limit_price=LIMIT, placed=placed)
    return replace(order, quantity=quantity, model=model)


def touches(count: int) -> list[Quote]:
    """Return ticks at the limit, two in each minute."""
    return [
        quote(LIMIT, timestamp=NOON + timedelta(minutes=minute, seconds=second))
        for minute in range(1, count + 1)
        for second in (1, 31)
    ]


def margin_of(order: EntryOrder) -> Decimal:
    return order.margin_at(order.margin_price)


def fills(order: EntryOrder, ticks: list[Quote]) -> list[Entered]:
    """Return the fills of an order and of its rests."""
    filled: list[Entered] = []
    rest: EntryOrder | None = order
    for tick in ticks:
        if rest is not None and isinstance(entered := rest.filled_by(tick), Entered):
            filled.append(entered)
            rest = entered.rest
    return filled


def first_split(order: EntryOrder, ticks: list[Quote]) -> Entered | None:
    first = next(iter(fills(order, ticks)), None)
    return first if first and first.rest else None


@given(numbers, lots, st.sampled_from(TradeType))
def test_the_parts_of_an_entry_are_whole_lots_at_its_limit_and_add_up_to_what_was_ordered(
    number: int, size: tuple[int, int], side: TradeType
) -> None:
    quantity = size[0] * size[1]
    order = limit_order(harsh(number, size[1]), quantity, side)

    parts = [entered.bracket for entered in fills(order, touches(400))]

    assert sum(part.quantity for part in parts) == quantity
    assert all(part.quantity >= size[1] and part.quantity % size[1] == 0 for part in parts)
    assert all(part.entry_price == LIMIT and part.entry_rule is FillRule.LIMIT for part in parts)


@given(numbers, lots)
def test_the_margins_of_the_parts_add_up_to_the_paisa_of_what_the_order_blocked(
    number: int, size: tuple[int, int]
) -> None:
    order = limit_order(harsh(number, size[1]), size[0] * size[1])
    blocked, total = margin_of(order), Decimal(0)

    for entered in fills(order, touches(400)):
        margin = blocked - entered.rest_margin
        assert margin >= 0
        total += margin
        if entered.rest:
            assert entered.rest_margin == margin_of(entered.rest)
        blocked = entered.rest_margin

    assert total == margin_of(order)


@given(numbers, st.integers(2, 100))
def test_a_minute_fills_at_most_one_part_however_often_it_touches(
    number: int, quantity: int
) -> None:
    order = limit_order(harsh(number), quantity)

    minutes = [entered.quote.timestamp.minute for entered in fills(order, touches(50))]

    assert len(set(minutes)) == len(minutes)


@given(numbers, st.integers(2, 100))
def test_candles_split_an_entry_as_the_ticks_of_their_minutes_do(
    number: int, quantity: int
) -> None:
    order = limit_order(harsh(number), quantity)
    ticks = touches(50)[::2]
    by_ticks = [entered.bracket.quantity for entered in fills(order, ticks)]
    by_candles: list[int] = []
    rest: EntryOrder | None = order
    for candle in map(candle_of, ticks):
        # A candle is looked at until it changes nothing more.
        while rest and isinstance(entered := rest.filled_in(candle), Entered):
            by_candles.append(entered.bracket.quantity)
            rest = entered.rest

    assert by_candles == by_ticks


@given(numbers, st.integers(2, 100))
def test_a_price_beyond_the_limit_fills_all_that_is_left_even_in_the_minute_of_a_part(
    number: int, quantity: int
) -> None:
    order = limit_order(harsh(number), quantity)
    beyond = quote(LIMIT - 1, timestamp=NOON + timedelta(minutes=1))
    assert isinstance(whole := order.filled_by(beyond), Entered)
    assert (whole.rest, whole.bracket.quantity) == (None, quantity)

    if split := first_split(order, touches(50)):
        assert split.rest is not None
        later = replace(beyond, timestamp=split.quote.timestamp + timedelta(seconds=1))
        filled = split.rest.filled_by(later)
        assert isinstance(filled, Entered)
        assert (filled.rest, filled.bracket.quantity) == (None, split.rest.quantity)


@given(numbers, st.integers(2, 100))
def test_the_rest_keeps_its_terms_has_a_seed_of_its_own_and_counts_later_prices_only(
    number: int, quantity: int
) -> None:
    levels = {"stop_loss": Decimal(90), "target_price": Decimal(110)}
    order = replace(limit_order(harsh(number), quantity), **levels)  # type: ignore[arg-type]
    split = first_split(order, touches(50))
    if split is None:
        return
    rest = split.rest

    assert rest is not None
    assert rest.model is not None
    assert rest.model == harsh(number).of_rest()
    assert rest.model.seed != harsh(number).seed
    assert rest.filled_by(split.quote) is None
    same = replace(rest, quantity=quantity, placed=order.placed, model=order.model, split_at=None)
    assert same == order
    assert split.bracket.stop_loss == levels["stop_loss"]
    assert split.bracket.target_price == levels["target_price"]


@given(numbers, st.integers(2, 100))
def test_an_order_that_does_not_wait_is_filled_as_a_whole(number: int, quantity: int) -> None:
    at_once = replace(limit_order(harsh(number), quantity), time_in_force=TimeInForce.IOC)

    filled = fills(at_once, touches(50))

    assert [entered.bracket.quantity for entered in filled] == [quantity]


@given(numbers, st.sampled_from([FillProfile.REALISTIC, None]), st.integers(1, 100))
def test_other_profiles_fill_entries_as_a_whole(
    number: int, profile: FillProfile | None, quantity: int
) -> None:
    order = limit_order(harsh(number), quantity)
    model = harsh(number, profile=profile) if profile else None

    parts = fills(replace(order, model=model), touches(100))

    assert [entered.bracket.quantity for entered in parts] == [quantity]


def test_a_quarter_of_the_touched_entries_is_filled_as_a_whole_at_first() -> None:
    firsts = [
        fills(limit_order(harsh(number), 100), touches(100))[0].bracket.quantity
        for number in range(1, 1_001)
    ]

    assert set(firsts) == {25, 50, 75, 100}
    assert abs(firsts.count(100) - 250) < 60
