"""Entry orders that wait: what candles trigger and fill."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.entry import Entered, EntryOrder, Triggered
from app.domain.fill import FillRule
from app.domain.triggers import SettledFrom
from tests.support.entries import (
    BUY,
    LIMIT,
    MARKET,
    SELL,
    STOP,
    STOP_LIMIT,
    candle,
    filled,
    tick,
)
from tests.support.quotes import entry_order


@pytest.mark.parametrize(
    ("order", "reaching", "later", "before"),
    [
        (entry_order(LIMIT, BUY, limit_price=90), (100, 85), (90, FillRule.LIMIT), (85, 100)),
        (entry_order(LIMIT, SELL, limit_price=110), (100, 115), (110, FillRule.LIMIT), (115, 100)),
        (entry_order(STOP, BUY, stop_price=110), (100, 115), (110, FillRule.CANDLE), (115, 100)),
        (entry_order(STOP, SELL, stop_price=90), (100, 85), (90, FillRule.CANDLE), (85, 100)),
    ],
)
def test_a_candle_that_reaches_the_price_fills_at_it_and_one_that_opens_beyond_as_a_tick(
    order: EntryOrder,
    reaching: tuple[int, int],
    later: tuple[int, FillRule],
    before: tuple[int, int],
) -> None:
    assert filled(order, candle(*reaching)) == later
    assert filled(order, candle(*before)) == filled(order, tick(before[0]))
    assert filled(order, candle(100, 101, 99)) is None
    change = order.filled_in(candle(*reaching))
    assert isinstance(change, Entered)
    assert change.bracket.entry_settled_from is SettledFrom.GAP


def test_a_candle_from_before_the_order_does_not_fill_it() -> None:
    order = entry_order(LIMIT, limit_price=90, placed=tick(100, minute=5))

    assert filled(order, candle(85, minute=4)) is None
    assert filled(order, candle(85, minute=5)) == (90, FillRule.LIMIT)


def test_a_candle_that_opens_a_session_beyond_a_limit_fills_it_at_the_open() -> None:
    order = entry_order(LIMIT, limit_price=90)
    opens = replace(candle(85, 95), opens_session=True)

    assert filled(order, opens) == (85, FillRule.OPENING)
    assert filled(order, replace(candle(95, 85), opens_session=True)) == (90, FillRule.LIMIT)


def test_a_candle_fills_a_queued_market_order_at_its_open() -> None:
    assert filled(entry_order(MARKET), candle(97, 80, 120)) == (97, FillRule.MARKET)


def test_a_candle_that_reaches_the_stop_of_a_stop_limit_fills_it_at_the_stop() -> None:
    order = entry_order(STOP_LIMIT, stop_price=110, limit_price=112)

    assert filled(order, candle(100, 115)) == (110, FillRule.CANDLE)
    # Beyond the limit at the open: the order rests.
    assert isinstance(order.filled_in(candle(115, 116)), Triggered)


@pytest.mark.parametrize(
    ("prices", "is_filled"),
    [
        # Triggered at the open, beyond the limit: any later price counts.
        ((115, 111, 120), True),
        ((115, 113, 120), False),
        ((115,), False),
        # Triggered after the open: only the close surely came later.
        ((100, 115, 111), True),
        ((100, 115, 113), False),
    ],
)
def test_of_the_candle_that_triggered_a_stop_limit_only_later_prices_fill_it(
    prices: tuple[int, ...], is_filled: bool
) -> None:
    order = entry_order(STOP_LIMIT, stop_price=110, limit_price=112)
    its_candle = candle(*prices)
    triggered = replace(order, triggered_at=its_candle.time)

    assert filled(triggered, its_candle) == ((112, FillRule.LIMIT) if is_filled else None)
