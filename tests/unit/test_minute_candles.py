"""What minute candles do not tell: an example of each difference that docs/trading.md names.

tests/property/test_minute_candles.py checks that nothing else differs from ticks.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.order import OrderType
from app.domain.side import TradeType
from app.domain.trailing import TrailingTerms, Unit
from tests.support.quotes import NOON, bracket, entry_order, quote
from tests.support.settling import Trade, active, by_candles, by_ticks, minutes_of, outcome, pending

BUY, SELL = TradeType.BUY, TradeType.SELL
TRAILING = TrailingTerms(Unit.RUPEES, Decimal(3), Decimal(1), Decimal(1))


def prices_of(trade: Trade, *minutes: list[int]) -> tuple[list[object], list[object]]:
    """Return the prices of the fills of a trade, by ticks and by candles of these minutes."""
    ticks = minutes_of(*minutes)
    live = by_ticks([tick for each in ticks for tick in each], trade)
    settled = by_candles([Candle.of(each) for each in ticks], trade)
    found = [[outcome(each) for _, each in changes] for changes in (live, settled)]
    by_tick, by_candle = ([each[1] for each in changes if len(each) > 1] for changes in found)
    return by_tick, by_candle


def trailed() -> Bracket:
    return replace(bracket(), trailing=TRAILING)


@pytest.mark.parametrize(
    "trade",
    [active(bracket(stop_loss=95)), active(replace(trailed(), stop_loss=Decimal(95)))],
    ids=["stop-loss", "the tighter of two"],
)
def test_a_stop_that_a_candle_reaches_after_its_open_exits_at_its_level(trade: Trade) -> None:
    level = trade.bracket.stop_after() if trade.bracket else None

    assert prices_of(trade, [100, 90]) == ([90], [level])
    # The open is a tick.
    assert prices_of(trade, [90, 100]) == ([90], [90])


def test_a_stop_order_that_a_candle_reaches_after_its_open_is_filled_at_its_stop() -> None:
    trade = pending(entry_order(OrderType.STOP, BUY, stop_price=105))

    assert prices_of(trade, [100, 110]) == ([110], [105])


def test_of_a_stop_loss_and_a_target_in_one_candle_the_stop_loss_counts() -> None:
    trade = active(bracket(stop_loss=95, target_price=105))

    assert prices_of(trade, [100, 105, 95]) == ([105], [95])


def test_in_the_candle_of_its_entry_a_trade_exits_at_what_came_surely_later() -> None:
    order = entry_order(OrderType.LIMIT, BUY, limit_price=95, stop_loss=90, target_price=105)

    # The high may have come before the entry.
    assert prices_of(pending(order), [100, 95, 105, 100]) == ([95, 105], [95])
    assert prices_of(pending(order), [100, 95, 105]) == ([95, 105], [95, 105])
    # The price reaches the stop-loss only through the limit.
    assert prices_of(pending(order), [100, 95, 90, 100]) == ([95, 90], [95, 90])


def test_a_trailing_stop_follows_prices_from_the_candle_after_that_of_its_entry_on() -> None:
    order = replace(entry_order(OrderType.MARKET), trailing=TRAILING)

    assert prices_of(pending(order), [100, 110], [107]) == ([100, 107], [100])
    assert prices_of(pending(order), [100], [110], [107]) == ([100, 107], [100, 107])


def test_a_stop_limit_is_filled_by_the_close_of_the_candle_that_triggers_it_after_its_open() -> (
    None
):
    order = entry_order(OrderType.STOP_LIMIT, BUY, stop_price=105, limit_price=102)

    assert prices_of(pending(order), [100, 105, 102, 110]) == ([102], [])
    assert prices_of(pending(order), [100, 105, 101]) == ([102], [102])


def test_a_trailing_stop_follows_the_best_price_of_a_candle_last() -> None:
    trade = active(trailed())

    # It fell by 3 and rose again within the minute.
    assert prices_of(trade, [100, 110, 107, 112]) == ([107], [])
    assert prices_of(trade, [100, 110, 106]) == ([106], [107])


def test_an_entry_at_a_price_beyond_its_own_level_exits_at_the_open_that_filled_it() -> None:
    order = entry_order(OrderType.LIMIT, BUY, limit_price=99, stop_loss=98)

    assert prices_of(pending(order), [97, 96]) == ([99, 96], [99, 97])


def test_a_candle_that_began_before_a_trade_does_not_count() -> None:
    entered = quote(100, timestamp=NOON + timedelta(minutes=1, seconds=1))
    trade = active(Bracket.open(BUY, 1, entered, stop_loss=Decimal(95)))
    order = entry_order(OrderType.LIMIT, BUY, limit_price=95, placed=entered)

    # The tick of the trade itself is the second of the minute.
    assert prices_of(trade, [100, 100, 90]) == ([90], [])
    assert prices_of(pending(order), [100, 100, 90]) == ([95], [])


def test_an_order_that_expires_within_a_candle_may_be_filled_by_all_of_it() -> None:
    expires_at = NOON + timedelta(minutes=1, seconds=1)
    order = entry_order(OrderType.LIMIT, BUY, limit_price=95, expires_at=expires_at)

    assert prices_of(pending(order), [100, 95]) == ([], [95])


def test_what_one_candle_causes_is_in_the_order_of_the_trades() -> None:
    older = pending(entry_order(OrderType.LIMIT, BUY, limit_price=95), id=1)
    newer = pending(entry_order(OrderType.STOP, BUY, stop_price=105), id=2)
    ticks = minutes_of([100, 105, 95])

    live = by_ticks(ticks[0], older, newer)
    settled = by_candles([Candle.of(ticks[0])], older, newer)

    assert [trade.id for trade, _ in live] == [2, 1]
    assert [trade.id for trade, _ in settled] == [1, 2]
