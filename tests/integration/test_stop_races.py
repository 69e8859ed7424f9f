"""Stops that a price reaches while their user changes the trade."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from flask import Flask

from app.domain.quote import Quote
from app.domain.trade import on_quote
from app.models import Trade, TradeChange
from app.services import services
from app.trades.execution import apply_transitions
from app.trades.trailing import TrailingStops
from app.trades.triggers import find_triggered
from tests.support.database_state import assert_invariants
from tests.support.factories import trades_of
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.users import Trader

pytestmark = pytest.mark.usefixtures("app_context")


@pytest.fixture
def post(clock: ManualClock, feed: ScriptedFeed, app_context: Flask) -> Callable[..., list[Quote]]:
    """Post the next ticks of NIFTY on the board, which are not settled yet."""

    def post(*prices: int) -> list[Quote]:
        ticks = []
        for price in prices:
            clock.advance(1)
            ticks += services().quotes.update([feed.set("^NSEI", price)])
        return ticks

    return post


@pytest.fixture
def trailing(clock: ManualClock, app_context: Flask) -> TrailingStops:
    return TrailingStops(services().quotes.id, clock)


@pytest.fixture
def find(trailing: TrailingStops) -> Callable[[list[Quote]], list[TradeChange]]:
    def find(ticks: list[Quote]) -> list[TradeChange]:
        trailing.refresh()
        return find_triggered(ticks, (), trailing)

    return find


def only_trade(alice: Trader) -> Trade:
    (trade,) = trades_of(alice.client_id)
    return trade


def patch(alice: Trader, **changes: object) -> None:
    path = f"/trades/{alice.client_id}/{only_trade(alice).id}"
    answer = alice.patch(path, changes)
    assert answer.status_code == 200, answer.text


def test_a_trailing_stop_that_a_tick_reaches_while_the_target_is_changed_closes_the_trade(
    alice: Trader,
    post: Callable[..., list[Quote]],
    trailing: TrailingStops,
    find: Callable[[list[Quote]], list[TradeChange]],
) -> None:
    alice.create_trade(trailing_offset=100, target_price=26_000)
    ticks = post(25_300)
    assert find(ticks) == []
    trailing.advance(ticks, [])
    changes = find(post(25_190))

    patch(alice, target_price=27_000)
    list(apply_transitions(changes, trailing=trailing))

    exit = only_trade(alice).exit
    assert exit is not None
    assert (exit.reason.value, exit.price) == ("trailing_stop", Decimal(25_190))
    assert exit.best is not None
    assert exit.best.price == 25_300
    assert_invariants(alice.client_id)


def test_a_new_trailing_stop_has_followed_the_ticks_before_the_one_that_reached_the_old_stop(
    alice: Trader, post: Callable[..., list[Quote]], trailing: TrailingStops
) -> None:
    alice.create_trade(stop_loss=24_900)
    post(25_300)
    patch(alice, stop_loss=25_280)
    before = only_trade(alice)
    patch(alice, stop_loss=None, trailing_offset=50)
    _, tick = post(25_320, 25_260)
    # What the monitor has found before the second change is written.
    transition = on_quote(before, tick)
    assert transition is not None
    trailing.refresh()

    list(apply_transitions([TradeChange(before, transition)], trailing=trailing))

    exit = only_trade(alice).exit
    assert exit is not None
    # 50 below 25,320; 50 below the price at which it was set is 25,250.
    assert (exit.reason.value, exit.price) == ("trailing_stop", Decimal(25_260))
    assert_invariants(alice.client_id)
