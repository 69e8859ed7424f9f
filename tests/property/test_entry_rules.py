"""Entries: candles of one tick each fill and close them as the ticks themselves do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.domain.candle import Candle
from app.domain.entry import Entered, EntryOrder, Triggered
from app.domain.fill import Exit
from app.domain.order import OrderType
from app.domain.quote import Quote
from app.domain.side import TradeType
from app.domain.trade import Transition, on_candle
from tests.property.strategies import near_prices, quantities, sides
from tests.support.quotes import NOON, quote
from tests.support.settling import by_candles, by_ticks, pending

MINUTE = timedelta(minutes=1)
# A price, and what it is in its session, if anything.
Walk = Sequence[tuple[Decimal, str | None]]
marks = st.sampled_from([None, None, "opens", "auction"])
walks = st.lists(st.tuples(near_prices, marks), min_size=1, max_size=30)


@st.composite
def orders(draw: st.DrawFn) -> EntryOrder:
    """Draw an order of any type with any levels: the rules hold for unreasonable ones as well."""
    order_type = draw(st.sampled_from(OrderType))
    expires_after = draw(st.none() | st.integers(1, 30))
    return EntryOrder(
        trade_type=draw(sides),
        quantity=draw(quantities),
        order_type=order_type,
        placed=quote(100),
        margin_rate=Decimal("0.2"),
        limit_price=draw(near_prices) if order_type.has_limit else None,
        stop_price=draw(near_prices) if order_type.has_stop else None,
        expires_at=None if expires_after is None else NOON + expires_after * MINUTE,
        stop_loss=draw(st.none() | near_prices),
        target_price=draw(st.none() | near_prices),
    )


def ticks_of(walk: Walk) -> list[Quote]:
    return [
        replace(
            quote(price, timestamp=NOON + number * MINUTE),
            opens_session=mark == "opens",
            in_auction=mark == "auction",
        )
        for number, (price, mark) in enumerate(walk, 1)
    ]


def candle_of(tick: Quote) -> Candle:
    return replace(Candle.of([tick]), opens_session=tick.opens_session, in_auction=tick.in_auction)


def described(transition: Transition) -> tuple[object, ...]:
    """Return all that the books keep of a transition, but how it was found."""
    change = transition.change
    match change:
        case Entered(bracket):
            entry = (bracket.entry_price, bracket.entry_rule, bracket.entry_timestamp)
            return (transition.after, *entry, change.triggered_at)
        case Triggered(tick):
            return (transition.after, tick.price, tick.timestamp)
        case Exit():
            return (transition.after, change.price, change.rule, change.quote.timestamp, change.pnl)
    raise AssertionError(change)


@given(orders(), walks)
def test_candles_of_one_tick_each_fill_and_close_as_the_ticks_do(
    order: EntryOrder, walk: Walk
) -> None:
    ticks = ticks_of(walk)

    live = by_ticks(ticks, pending(order))
    settled = by_candles([candle_of(tick) for tick in ticks], pending(order))

    assert [described(each) for _, each in settled] == [described(each) for _, each in live]


@given(orders(), near_prices)
def test_a_tick_changes_exactly_what_the_index_would_find(
    order: EntryOrder, price: Decimal
) -> None:
    below, above = order.trigger_below, order.trigger_above
    is_found = (below is not None and below >= price) or (above is not None and above <= price)

    assert (order.filled_by(quote(price)) is not None) is is_found


@given(orders(), walks)
def test_no_fill_is_worse_than_its_limit_or_better_than_its_quote(
    order: EntryOrder, walk: Walk
) -> None:
    for _, transition in by_ticks(ticks_of(walk), pending(order)):
        if not isinstance(transition.change, Entered):
            continue
        bracket = transition.change.bracket
        sign = 1 if order.trade_type is TradeType.BUY else -1
        assert bracket.entry_quote_price is not None
        assert bracket.entry_price * sign >= bracket.entry_quote_price * sign
        if order.limit_price is not None:
            assert bracket.entry_price * sign <= order.limit_price * sign


@given(orders(), st.lists(near_prices, min_size=1, max_size=12), st.integers(1, 12))
def test_longer_candles_change_a_trade_if_their_ticks_would(
    order: EntryOrder, prices: list[Decimal], length: int
) -> None:
    trade = pending(replace(order, expires_at=None))
    ticks = ticks_of([(price, None) for price in prices])
    parts = [ticks[begin : begin + length] for begin in range(0, len(ticks), length)]

    first = next(filter(None, (on_candle(trade, Candle.of(part)) for part in parts)), None)

    live = [each for _, each in by_ticks(ticks, trade)]
    assert (first is not None) is bool(live)
    if first is not None and order.order_type is OrderType.LIMIT:
        assert described(first)[1] == described(live[0])[1] == order.limit_price
