"""Entry orders that wait: the prices that trigger and fill them, in ticks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from app.domain.corporate_actions import ActionKind, Basis, CorporateAction, Ratio, adjust_order
from app.domain.entry import Entered, EntryOrder, Triggered
from app.domain.fill import FillRule
from app.domain.quote import Posting, Quote, Source
from app.domain.side import TradeType
from app.domain.triggers import SettledFrom
from tests.support.entries import (
    BUY,
    LIMIT,
    MARKET,
    MINUTE,
    SELL,
    STOP,
    STOP_LIMIT,
    candle,
    filled,
    opening,
    tick,
)
from tests.support.quotes import NOON, entry_order, quote


@pytest.mark.parametrize(
    ("order", "below", "above", "margin_price"),
    [
        (entry_order(LIMIT, BUY, limit_price=90), 90, None, 90),
        (entry_order(LIMIT, SELL, limit_price=110), None, 110, 110),
        (entry_order(STOP, BUY, stop_price=110), None, 110, 110),
        (entry_order(STOP, SELL, stop_price=90), 90, None, 90),
        (entry_order(STOP_LIMIT, BUY, stop_price=110, limit_price=112), None, 110, 112),
        (entry_order(STOP_LIMIT, SELL, stop_price=90, limit_price=88), 90, None, 88),
        (entry_order(MARKET, BUY), None, Decimal("0.01"), 100),
        (entry_order(MARKET, SELL), None, Decimal("0.01"), 100),
    ],
)
def test_an_order_waits_on_the_side_of_its_price_and_blocks_margin_there(
    order: EntryOrder, below: int | None, above: int | Decimal | None, margin_price: int
) -> None:
    assert (order.trigger_below, order.trigger_above) == (below, above)
    assert order.margin_price == margin_price
    # 2 units at a rate of 0.2
    assert order.margin_at(order.margin_price) == Decimal("0.4") * margin_price


@pytest.mark.parametrize(
    ("order", "below", "above"),
    [
        (entry_order(STOP_LIMIT, BUY, stop_price=110, limit_price=112), 112, None),
        (entry_order(STOP_LIMIT, SELL, stop_price=90, limit_price=88), None, 88),
    ],
)
def test_a_triggered_stop_limit_waits_for_its_limit(
    order: EntryOrder, below: int | None, above: int | None
) -> None:
    triggered = replace(order, triggered_at=NOON)

    assert (triggered.trigger_below, triggered.trigger_above) == (below, above)


@pytest.mark.parametrize(
    ("side", "limit", "short", "at", "through"),
    [(BUY, 90, "90.01", "90.00", "85"), (SELL, 110, "109.99", "110.00", "120")],
)
def test_a_limit_fills_at_its_own_price_at_the_first_tick_at_or_through_it(
    side: TradeType, limit: int, short: str, at: str, through: str
) -> None:
    order = entry_order(LIMIT, side, limit_price=limit)

    assert filled(order, tick(short)) is None
    assert filled(order, tick(at)) == (limit, FillRule.LIMIT)
    assert filled(order, tick(through)) == (limit, FillRule.LIMIT)


@pytest.mark.parametrize(("side", "limit", "beyond"), [(BUY, 90, 85), (SELL, 110, 120)])
def test_a_session_that_opens_beyond_a_limit_fills_it_at_the_open(
    side: TradeType, limit: int, beyond: int
) -> None:
    order = entry_order(LIMIT, side, limit_price=limit)

    assert filled(order, opening(beyond)) == (beyond, FillRule.OPENING)
    assert filled(order, opening(limit)) == (limit, FillRule.LIMIT)
    assert filled(order, opening(100)) is None


@pytest.mark.parametrize(
    ("side", "stop", "short", "at", "through"),
    [(BUY, 110, "109.99", 110, 115), (SELL, 90, "90.01", 90, 85)],
)
def test_a_stop_fills_at_the_tick_that_reaches_it(
    side: TradeType, stop: int, short: str, at: int, through: int
) -> None:
    order = entry_order(STOP, side, stop_price=stop)

    assert filled(order, tick(short)) is None
    assert filled(order, tick(at)) == (at, FillRule.STOP)
    assert filled(order, tick(through)) == (through, FillRule.STOP)


@pytest.mark.parametrize(
    ("side", "stop", "limit", "between", "beyond"),
    [(BUY, 110, 112, 111, 115), (SELL, 90, 88, 89, 85)],
)
def test_a_stop_limit_fills_at_the_tick_that_triggers_it_unless_that_is_beyond_its_limit(
    side: TradeType, stop: int, limit: int, between: int, beyond: int
) -> None:
    order = entry_order(STOP_LIMIT, side, stop_price=stop, limit_price=limit)

    change = order.filled_by(tick(between))
    assert isinstance(change, Entered)
    assert change.triggered_at == tick(between).timestamp
    assert filled(order, tick(between)) == (between, FillRule.MARKET)

    assert isinstance(order.filled_by(tick(beyond)), Triggered)
    resting = replace(order, triggered_at=tick(beyond).timestamp)
    assert filled(resting, tick(beyond, minute=2)) is None
    assert filled(resting, tick(limit, minute=2)) == (limit, FillRule.LIMIT)
    # It stays a limit on the other side of its stop as well.
    assert filled(resting, tick(100, minute=2)) == (limit, FillRule.LIMIT)


@pytest.mark.parametrize("side", TradeType)
def test_a_queued_market_order_fills_at_the_first_price(side: TradeType) -> None:
    order = entry_order(MARKET, side)

    assert filled(order, tick(3)) == (3, FillRule.MARKET)
    assert filled(order, opening(300)) == (300, FillRule.MARKET)


def test_a_fill_opens_the_bracket_of_the_order_and_keeps_the_quote_that_caused_it() -> None:
    order = entry_order(LIMIT, limit_price=90, stop_loss=80, target_price=120)

    change = order.filled_by(tick(85), SettledFrom.QUOTE)

    assert isinstance(change, Entered)
    opened = change.bracket
    assert (opened.trade_type, opened.quantity) == (BUY, 2)
    assert opened.stop_loss == 80
    assert opened.target_price == 120
    assert opened.entry_price == 90
    assert opened.entry_quote_price == 85
    assert opened.entry_timestamp == tick(85).timestamp
    assert opened.entry_settled_from is SettledFrom.QUOTE


def test_a_tick_that_precedes_the_order_does_not_fill_it() -> None:
    placed = replace(quote(100), posting=Posting("board", 7))
    order = entry_order(LIMIT, limit_price=90, placed=placed)

    def on_board(number: int) -> Quote:
        return replace(quote(85), posting=Posting("board", number))

    assert filled(order, on_board(6)) is None
    assert filled(order, on_board(7)) is None
    assert filled(order, on_board(8)) == (90, FillRule.LIMIT)


def test_a_simulated_price_does_not_fill_an_order_placed_at_a_real_one() -> None:
    order = entry_order(LIMIT, limit_price=90, placed=quote(100, Source.YAHOO))

    assert filled(order, quote(85, Source.MOCK)) is None
    assert filled(order, quote(85, Source.ANGEL_ONE)) == (90, FillRule.LIMIT)


@pytest.mark.parametrize(
    "order",
    [
        entry_order(MARKET),
        entry_order(LIMIT, limit_price=90),
        entry_order(STOP, stop_price=80),
        entry_order(STOP_LIMIT, stop_price=80, limit_price=90),
    ],
)
def test_nothing_fills_an_order_from_the_time_of_its_expiry_on(
    order: EntryOrder,
) -> None:
    order = replace(order, expires_at=NOON + 2 * MINUTE)

    assert order.filled_by(tick(85, minute=1)) is not None
    assert order.filled_by(tick(85, minute=2)) is None
    assert order.filled_in(candle(85, minute=1)) is not None
    assert order.filled_in(candle(85, minute=2)) is None


def test_a_fill_keeps_the_time_of_its_quote() -> None:
    later: datetime = NOON + 3 * MINUTE

    change = entry_order(MARKET).filled_by(quote(99, timestamp=later))

    assert isinstance(change, Entered)
    assert change.bracket.entry_timestamp == later


def test_no_price_of_before_a_split_fills_an_order_that_it_has_adjusted() -> None:
    order = entry_order(LIMIT, SELL, limit_price=110, placed=posted(100, minute=0))
    opens_at = NOON + 2 * MINUTE
    split = CorporateAction(
        "^NSEI", opens_at.date(), ActionKind.SPLIT, opens_at, opens_at, Ratio(2, 1)
    )
    adjusted = adjust_order(order, split, Basis(Decimal("0.05"), Decimal(0), opens_at)).terms
    assert isinstance(adjusted, EntryOrder)

    assert filled(adjusted, posted(100, minute=1)) is None
    assert filled(adjusted, posted(55, minute=2)) == (55, FillRule.LIMIT)


def posted(price: int, minute: int) -> Quote:
    return replace(tick(price, minute), posting=Posting("board", minute))
