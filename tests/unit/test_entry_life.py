"""The trade of an entry order that waits: filled, triggered, or ended unfilled."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from app.domain.candle import Candle
from app.domain.entry import Entered
from app.domain.fill import Exit, ExitReason
from app.domain.quote import Posting, Quote
from app.domain.trade import (
    EndReason,
    IllegalTransition,
    TradeStatus,
    end_entry,
    on_candle,
    on_quote,
)
from tests.support.entries import (
    LIMIT,
    MARKET,
    MINUTE,
    SELL,
    STOP_LIMIT,
    Trade,
    candle,
    tick,
)
from tests.support.quotes import NOON, bracket, entry_order, quote


def test_a_tick_that_fills_an_entry_makes_its_trade_active() -> None:
    trade = Trade(entry_order(LIMIT, limit_price=90))

    transition = on_quote(trade, tick(90))

    assert transition is not None
    assert (transition.before, transition.after) == (TradeStatus.PENDING, TradeStatus.ACTIVE)
    assert on_quote(trade, tick(91)) is None
    assert on_candle(trade, candle(91)) is None


@pytest.mark.parametrize("board", ["a", None], ids=["ticks", "candles"])
def test_prices_of_before_the_trigger_do_not_fill_its_limit(board: str | None) -> None:
    """They are settled again if the database was away after the trigger was written."""
    posting = Posting(board, 1) if board else None
    order = entry_order(
        STOP_LIMIT, SELL, stop_price=96, limit_price=98, placed=replace(quote(100), posting=posting)
    )
    triggered = replace(order, triggered_at=NOON + 2 * MINUTE)

    def tick(minute: int) -> Quote:
        later = Posting(board, minute + 1) if board else None
        return replace(quote(99, timestamp=NOON + minute * MINUTE), posting=later)

    assert triggered.filled_by(tick(1)) is None
    assert triggered.filled_in(Candle.of([tick(1)])) is None
    assert triggered.filled_by(tick(3)) is not None


def test_a_triggered_stop_limit_stays_pending() -> None:
    trade = Trade(entry_order(STOP_LIMIT, stop_price=110, limit_price=112))

    for transition in (on_quote(trade, tick(120)), on_candle(trade, candle(120))):
        assert transition is not None
        assert transition.after is TradeStatus.PENDING


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (EndReason.USER, TradeStatus.CANCELLED),
        (EndReason.OCO, TradeStatus.CANCELLED),
        (EndReason.PORTFOLIO_RESET, TradeStatus.CANCELLED),
        (EndReason.EXPIRED, TradeStatus.EXPIRED),
        (EndReason.INSUFFICIENT_MARGIN, TradeStatus.REJECTED),
        (EndReason.UNLISTED, TradeStatus.REJECTED),
    ],
)
def test_an_entry_that_is_not_filled_ends_by_its_reason(
    reason: EndReason, status: TradeStatus
) -> None:
    assert end_entry(Trade(entry_order(MARKET)), reason).after is status


@pytest.mark.parametrize("status", [each for each in TradeStatus if each != "PENDING"])
def test_only_a_pending_entry_can_end_unfilled(status: TradeStatus) -> None:
    trade = Trade(entry_order(MARKET), bracket(), status)

    with pytest.raises(IllegalTransition):
        end_entry(trade, EndReason.USER)
    assert on_quote(trade, tick(100)) is None


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        # A limit below the market: the price fell through it, and on to the stop-loss.
        ((100, 75), (ExitReason.STOP_LOSS, 80)),
        # Whether the high came before the fall to the limit is unknown: only the close counts.
        ((100, 125, 85, 100), None),
        ((100, 85, 125), (ExitReason.TARGET, 120)),
    ],
)
def test_the_candle_that_fills_an_entry_closes_it_only_by_what_surely_came_later(
    prices: tuple[int, ...], expected: tuple[ExitReason, int] | None
) -> None:
    order = entry_order(LIMIT, limit_price=90, stop_loss=80, target_price=120)
    its_candle = candle(*prices)
    change = order.filled_in(its_candle)
    assert isinstance(change, Entered)

    transition = on_candle(Trade(order, change.bracket, TradeStatus.ACTIVE), its_candle)

    exit = transition.change if transition else None
    assert exit is None or isinstance(exit, Exit)
    found: tuple[ExitReason, Decimal | int] | None = (exit.reason, exit.price) if exit else None
    assert found == expected
