"""Minute candles: nothing differs from ticks but what docs/trading.md names.

A candle whose prices only rise or only fall, by one tick size at a time, tells the path of its
ticks. Then it changes a trade as they do. tests/unit/test_minute_candles.py has the differences.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.entry import Entered, EntryOrder
from app.domain.order import OrderType
from app.domain.quote import Quote
from app.domain.side import TradeType
from app.domain.trade import Change
from app.domain.trailing import TrailingTerms, Unit
from tests.property.strategies import quantities, sides
from tests.support.quotes import quote
from tests.support.settling import Trade, active, by_candles, by_ticks, minutes_of, outcome, pending

LAST, LOWEST = 1_000, 900
ONE = Decimal(1)
distances = st.integers(1, 12)


@st.composite
def monotone_minutes(draw: st.DrawFn) -> list[list[Quote]]:
    """Draw minutes of rupees that go one way in each; between two of them the price may jump."""
    price, minutes = LAST, []
    for _ in range(draw(st.integers(1, 12))):
        price = max(price + draw(st.integers(-8, 8)), LOWEST)
        way = draw(st.sampled_from([1, -1]))
        prices = [price + way * step for step in range(draw(st.integers(1, 15)))]
        price = prices[-1]
        minutes.append(prices)
    opens = draw(st.lists(st.booleans(), min_size=len(minutes), max_size=len(minutes)))
    return [
        [replace(ticks[0], opens_session=first), *ticks[1:]]
        for ticks, first in zip(minutes_of(*minutes), opens, strict=True)
    ]


@st.composite
def trailing_terms(draw: st.DrawFn) -> TrailingTerms:
    unit = draw(st.sampled_from(Unit))
    distance = Decimal(draw(distances))
    return TrailingTerms(unit, distance if unit is Unit.RUPEES else distance / 10, ONE, ONE)


@st.composite
def orders(draw: st.DrawFn) -> EntryOrder:
    """Draw an order at a last price, with levels on their sides of every price of its entry."""
    side, order_type = draw(sides), draw(st.sampled_from(OrderType))
    sign = 1 if side is TradeType.BUY else -1
    stop = LAST + sign * draw(distances) if order_type.has_stop else None
    limit = LAST - sign * draw(distances) if order_type is OrderType.LIMIT else None
    if stop is not None and order_type.has_limit:
        limit = stop + draw(st.integers(-8, 8))
    entries = [each for each in (LAST, stop, limit) if each is not None]
    lower, upper = (min, max) if sign == 1 else (max, min)
    loss, gain = draw(st.none() | distances), draw(st.none() | distances)
    return EntryOrder(
        trade_type=side,
        quantity=draw(quantities),
        order_type=order_type,
        placed=quote(LAST),
        margin_rate=Decimal("0.2"),
        limit_price=None if limit is None else Decimal(limit),
        stop_price=None if stop is None else Decimal(stop),
        stop_loss=None if loss is None else Decimal(lower(entries) - sign * loss),
        target_price=None if gain is None else Decimal(upper(entries) + sign * gain),
    )


@st.composite
def brackets(draw: st.DrawFn) -> Bracket:
    """Draw a bracket that was entered before the minutes."""
    side = draw(sides)
    sign = 1 if side is TradeType.BUY else -1
    loss, gain = draw(st.none() | distances), draw(st.none() | distances)
    return Bracket.open(
        side,
        draw(quantities),
        quote(LAST),
        stop_loss=None if loss is None else Decimal(LAST - sign * loss),
        target_price=None if gain is None else Decimal(LAST + sign * gain),
        trailing=draw(st.none() | trailing_terms()),
    )


def is_beyond_own_level(change: Change) -> bool:
    """Return whether the price that filled an entry has reached its stop-loss or target already."""
    if not isinstance(change, Entered):
        return False
    bracket, sign, price = change.bracket, change.bracket.trade_type.sign, change.quote.price
    stop, target = bracket.stop_loss, bracket.target_price
    return (stop is not None and (price - stop) * sign <= 0) or (
        target is not None and (target - price) * sign <= 0
    )


@given(orders().map(pending) | brackets().map(active), monotone_minutes())
def test_candles_that_tell_the_path_of_their_ticks_change_a_trade_as_they_do(
    trade: Trade, minutes: list[list[Quote]]
) -> None:
    candles = [replace(Candle.of(ticks), opens_session=ticks[0].opens_session) for ticks in minutes]
    live = by_ticks([tick for ticks in minutes for tick in ticks], trade)
    assume(not any(is_beyond_own_level(each.change) for _, each in live))

    settled = by_candles(candles, trade)

    assert [outcome(each) for _, each in settled] == [outcome(each) for _, each in live]
