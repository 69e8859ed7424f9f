"""Entry orders that wait: the prices that trigger and fill them, in ticks and in candles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.corporate_actions import ActionKind, Basis, CorporateAction, Ratio, adjust_order
from app.domain.entry import Entered, EntryOrder, Triggered
from app.domain.fill import Exit, ExitReason, FillRule
from app.domain.order import OrderType
from app.domain.quote import Posting, Quote, Source
from app.domain.side import TradeType
from app.domain.trade import (
    EndReason,
    IllegalTransition,
    TradeStatus,
    end_entry,
    on_candle,
    on_quote,
)
from app.domain.triggers import SettledFrom
from tests.support.quotes import NOON, bracket, entry_order, quote

MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT
STOP, STOP_LIMIT = OrderType.STOP, OrderType.STOP_LIMIT
BUY, SELL = TradeType.BUY, TradeType.SELL
MINUTE = timedelta(minutes=1)


@dataclass
class Trade:
    order: EntryOrder | None
    bracket: Bracket | None = None
    status: TradeStatus = TradeStatus.PENDING


def candle(*prices: int, minute: int = 1) -> Candle:
    """Return a candle of these prices in their order, some minutes after NOON."""
    time = NOON + minute * MINUTE
    return Candle.of([quote(price, timestamp=time) for price in prices])


def tick(price: Decimal | int | str, minute: int = 1) -> Quote:
    return quote(price, timestamp=NOON + minute * MINUTE)


def opening(price: int) -> Quote:
    return replace(tick(price), opens_session=True)


def filled(
    order: EntryOrder, by: Quote | Candle, settled_from: SettledFrom | None = None
) -> tuple[Decimal | int, FillRule | None] | None:
    """Return the price and the rule of the fill that a tick or a candle causes."""
    change = order.filled_in(by) if isinstance(by, Candle) else order.filled_by(by, settled_from)
    if not isinstance(change, Entered):
        return None
    return change.bracket.entry_price, change.bracket.entry_rule


# What it waits for.


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


# Ticks.


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


# Candles.


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


# The life of the trade.


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
