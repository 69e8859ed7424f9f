"""Fill profiles: slippage against the user, limits that hold, and numbers that a seed decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.candle_exits import exit_in
from app.domain.entry import Entered, EntryOrder
from app.domain.fill import Exit, ExitReason, FillRule
from app.domain.fill_profile import FillModel, FillProfile, trade_seed
from app.domain.money import PAISA
from app.domain.order import OrderType
from app.domain.quote import Quote, QuoteDetails
from app.domain.side import TradeType
from app.domain.trade import TradeStatus, Transition, rebase
from tests.property.strategies import brackets, near_prices
from tests.property.test_entry_rules import Walk, candle_of, described, orders, ticks_of, walks
from tests.support.quotes import NOON, bracket, entry_order, quote
from tests.support.settling import active, by_candles, by_ticks, minutes_of, pending

NOT_PLAIN = (FillProfile.REALISTIC, FillProfile.HARSH)
TICK = Decimal("0.05")


def model(profile: FillProfile = FillProfile.REALISTIC, number: int = 1) -> FillModel:
    seed = trade_seed("0", "asha", "default", number)
    return FillModel(profile, seed, PAISA, lot_size=1, slippage_bps=Decimal(2))


numbers = st.integers(1, 10_000)
profiles = st.sampled_from(NOT_PLAIN)
models = st.builds(
    FillModel,
    profile=profiles,
    seed=numbers.map(lambda number: trade_seed("0", "asha", "default", number)),
    tick_size=st.sampled_from([PAISA, TICK]),
    lot_size=st.sampled_from([1, 25]),
    slippage_bps=st.integers(0, 1_000).map(Decimal),
)
realistic = models.map(lambda each: replace(each, profile=FillProfile.REALISTIC))
spreads = st.none() | st.integers(0, 50).map(lambda ticks: ticks * TICK)


def with_spread(price: Decimal, spread: Decimal | None) -> Quote:
    details = QuoteDetails() if spread is None else QuoteDetails(bid=price, ask=price + spread)
    return replace(quote(price), details=details)


@given(models, near_prices, spreads, st.sampled_from([1, -1]), st.none() | near_prices)
def test_a_price_at_market_is_worse_than_the_quote_by_the_slippage_and_never_beyond_a_limit(
    model: FillModel,
    quoted: Decimal,
    spread: Decimal | None,
    side: int,
    limit: Decimal | None,
) -> None:
    if limit is not None and side * limit < side * quoted:
        # Such a limit is not reached.
        limit = None

    price, slippage = model.fill(with_spread(quoted, spread), side, "entry", limit)

    half = quoted * model.slippage_bps / 10_000 if spread is None else spread / 2
    worse = side * (price - quoted)
    assert 0 <= worse < half + (1 + slippage.latency) * model.tick_size
    if limit is None:
        assert worse >= half
        assert price % model.tick_size == 0
    else:
        assert side * price <= side * limit


@given(models, brackets(), walks)
def test_no_exit_is_better_than_the_plain_one_and_no_target_worse_than_its_price(
    model: FillModel, bracket: Bracket, walk: Walk
) -> None:
    for tick in ticks_of(walk):
        plain = bracket.triggered_by(tick)
        exit = replace(bracket, model=model).triggered_by(tick)
        assert exit is None or plain is not None
        if exit is None or plain is None:
            continue
        sign = bracket.trade_type.sign
        assert (exit.reason, exit.rule) == (plain.reason, plain.rule)
        assert sign * exit.price <= sign * plain.price
        if exit.reason is ExitReason.TARGET:
            assert bracket.target_price is not None
            assert sign * exit.price >= sign * bracket.target_price


@given(models, orders(), walks)
def test_no_entry_is_better_than_the_plain_one_and_no_limit_worse_than_its_price(
    model: FillModel, order: EntryOrder, walk: Walk
) -> None:
    for tick in ticks_of(walk):
        plain = order.filled_by(tick)
        filled = replace(order, model=model).filled_by(tick)
        assert filled is None or type(filled) is type(plain)
        if not isinstance(filled, Entered) or not isinstance(plain, Entered):
            continue
        sign, price = order.trade_type.sign, filled.bracket.entry_price
        assert sign * price >= sign * plain.bracket.entry_price
        if order.limit_price is not None:
            assert sign * price <= sign * order.limit_price


@given(realistic, orders(), walks)
def test_candles_of_one_tick_each_fill_and_close_as_the_ticks_do(
    model: FillModel, order: EntryOrder, walk: Walk
) -> None:
    ticks, order = ticks_of(walk), replace(order, model=model)

    live = by_ticks(ticks, pending(order))
    settled = by_candles([candle_of(tick) for tick in ticks], pending(order))

    assert [described(each) for _, each in settled] == [described(each) for _, each in live]


@given(models, orders(), walks)
def test_a_seed_decides_all_there_is_to_decide(
    model: FillModel, order: EntryOrder, walk: Walk
) -> None:
    ticks = ticks_of(walk)
    same = replace(model)

    first, second = (
        [transition for _, transition in by_ticks(ticks, pending(replace(order, model=each)))]
        for each in (model, same)
    )

    assert first == second
    assert model.rejection() == same.rejection()


@given(models, orders().filter(lambda order: order.waits_for_limit))
def test_a_limit_that_the_price_passes_is_filled_whatever_the_seed(
    model: FillModel, order: EntryOrder
) -> None:
    order = replace(order, model=model, expires_at=None)
    assert order.limit_price is not None
    beyond = order.limit_price - order.trade_type.sign * PAISA

    filled = order.filled_by(quote(beyond, timestamp=NOON + timedelta(minutes=1)))

    assert isinstance(filled, Entered)
    assert (filled.bracket.entry_price, filled.bracket.entry_rule) == (
        order.limit_price,
        FillRule.LIMIT,
    )


@pytest.mark.parametrize("low", [100, 99])
def test_a_candle_fills_a_limit_that_it_passes_and_decides_a_touch_as_its_ticks_do(
    low: int,
) -> None:
    order = replace(entry_order(OrderType.LIMIT, limit_price=100), model=model())
    position = replace(bracket(TradeType.SELL, entry=105, target_price=100), model=model())

    for minute in range(1, 50):
        time = NOON + timedelta(minutes=minute)
        candle = Candle.of([quote(price, timestamp=time) for price in (102, 100, low, 101)])
        is_passed = low < 100

        filled = order.filled_in(candle)
        exit = exit_in(candle, position)

        assert (filled is not None) is (is_passed or model().fills_touched("entry", time))
        assert (exit is not None) is (is_passed or model().fills_touched("target 0", time))


def test_half_of_the_touched_minutes_fill_a_limit() -> None:
    minutes = [NOON + timedelta(minutes=number) for number in range(4_000)]

    filled = sum(model().fills_touched("entry", minute) for minute in minutes)

    # Four standard deviations.
    assert abs(filled - 2_000) < 4 * 4_000**0.5 / 2


def test_the_ticks_of_a_minute_decide_together() -> None:
    seconds = [NOON + timedelta(seconds=number) for number in range(60)]

    for number in range(20):
        own = model(number=number)
        assert len({own.fills_touched("entry", second) for second in seconds}) == 1


def test_harsh_rejects_two_orders_of_a_hundred_and_is_one_to_three_ticks_late() -> None:
    harsh = [model(FillProfile.HARSH, number) for number in range(5_000)]

    rejected = [code for each in harsh if (code := each.rejection())]
    latencies = [each.latency("entry") for each in harsh]

    assert abs(len(rejected) - 100) < 4 * (5_000 * 0.02 * 0.98) ** 0.5
    assert len(set(rejected)) == 3
    assert set(latencies) == {1, 2, 3}
    assert not any(model(number=number).rejection() for number in range(1_000))


@given(numbers, st.integers(1, 100), st.sampled_from([1, 5]))
def test_the_parts_of_a_target_are_whole_lots_and_end_with_all_of_it(
    number: int, lots: int, lot_size: int
) -> None:
    quantity = lots * lot_size
    bracket = Bracket.open(
        trade_type=TradeType.BUY,
        quantity=quantity,
        quote=quote(100),
        target_price=Decimal(110),
    )
    own = replace(model(FillProfile.HARSH, number), lot_size=lot_size)
    ticks = [quote(110, timestamp=NOON + timedelta(minutes=minute)) for minute in range(1, 400)]

    exits = _exits(replace(bracket, model=own), ticks)

    assert sum(exit.quantity for exit in exits) == quantity
    assert all(exit.quantity % lot_size == 0 and exit.price == 110 for exit in exits)


@given(
    numbers,
    st.integers(4, 100),
    # Most touch the target, few pass it.
    st.lists(
        st.lists(st.sampled_from([110, 110, 110, 109, 111]), min_size=1, max_size=3),
        min_size=6,
        max_size=12,
    ),
)
def test_the_ticks_of_a_minute_exit_as_much_at_a_target_as_its_candle_does(
    number: int, quantity: int, minutes: list[list[int]]
) -> None:
    position = Bracket.open(TradeType.BUY, quantity, quote(100), target_price=Decimal(110))
    by_ticks = by_candle = replace(position, model=model(FillProfile.HARSH, number))

    for ticks in minutes_of(*minutes):
        for exit in _exits(by_ticks, ticks):
            by_ticks = by_ticks.after_part(exit)
        candle = Candle.of([replace(tick, timestamp=ticks[0].timestamp) for tick in ticks])
        while by_candle.open_quantity and (exit_of_candle := exit_in(candle, by_candle)):
            by_candle = by_candle.after_part(exit_of_candle)

        assert by_candle.open_quantity == by_ticks.open_quantity
        if not by_ticks.open_quantity:
            return


def test_a_target_that_is_touched_again_in_a_minute_keeps_what_its_part_left() -> None:
    position = Bracket.open(TradeType.BUY, 100, quote(100), target_price=Decimal(110))

    for number in range(200):
        own = replace(position, model=model(FillProfile.HARSH, number))
        (ticks,) = minutes_of([110] * 60)
        assert len(_exits(own, ticks)) <= 1


@pytest.mark.parametrize(("seconds", "is_lost"), [(59, True), (60, False)])
def test_a_part_is_not_exited_again_in_the_minute_in_which_another_process_exited_it(
    seconds: int, is_lost: bool
) -> None:
    bracket = Bracket.open(TradeType.BUY, 100, quote(100), target_price=Decimal(110))
    touch = quote(110, timestamp=NOON + timedelta(minutes=1))
    part = Exit(ExitReason.TARGET, touch, touch.price, 25, Decimal(250), FillRule.LIMIT)
    before, now = active(bracket), active(bracket.after_part(part))
    later = replace(part, quote=replace(touch, timestamp=touch.timestamp + timedelta(0, seconds)))

    rebased = rebase(Transition(TradeStatus.ACTIVE, TradeStatus.ACTIVE, later), before, now)

    assert (rebased is None) is is_lost


def _exits(bracket: Bracket, ticks: list[Quote]) -> list[Exit]:
    exits: list[Exit] = []
    for tick in ticks:
        if bracket.open_quantity and (exit := bracket.triggered_by(tick)):
            exits.append(exit)
            bracket = bracket.after_part(exit)
    return exits
