"""The prices of open trades in responses: the last one, and the stop that follows the best one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.models import SymbolState, Trail
from app.monitor import Monitor
from app.monitor.following import Following
from config import Settings
from tests.support.faults import recording_commands
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.users import Trader

INDEX = "^NSEI"
LIMIT = {"order_type": "LIMIT", "limit_price": 24_900}


@pytest.fixture
def tick(feed: ScriptedFeed, clock: ManualClock) -> Callable[..., None]:
    """Have the feed make ticks of NIFTY at these prices."""

    def make(*prices: int) -> None:
        for price in prices:
            clock.advance(1)
            feed.tick(INDEX, price)

    return make


def levels(trade: dict[str, Any]) -> tuple[float | None, float | None]:
    """Return the best price and the stop that a view shows."""
    best = trade["best_price"]
    return best and best["price"], trade["trailing_stop"]


def shown(trader: Trader) -> dict[str, Any]:
    """Return the newest trade, as its list and its own address show it."""
    listed = trader.trades()[0]
    own: dict[str, Any] = trader.get(f"/trades/{trader.client_id}/{listed['trade_id']}").get_json()
    assert {name: own[name] for name in listed} == listed
    return listed


def test_an_order_that_waits_has_the_last_price_and_no_profit(
    alice: Trader, monitor: Monitor, tick: Callable[..., None]
) -> None:
    alice.create_trade(**LIMIT, trailing_offset=100)
    tick(25_010)
    monitor.run_once()

    trade = shown(alice)
    assert (trade["status"], trade["last_price"], trade["stale"]) == ("PENDING", 25_010.0, False)
    assert (trade["unrealized_pnl"], levels(trade)) == (None, (None, None))
    alice.post(f"/trades/cancel/{trade['trade_id']}")
    assert shown(alice)["last_price"] is None


def test_a_trailing_stop_is_shown_where_it_is_now(
    alice: Trader, monitor: Monitor, tick: Callable[..., None], clock: ManualClock
) -> None:
    alice.create_trade(trailing_offset=100)
    assert levels(shown(alice)) == (25_000.0, 24_900.0)
    tick(25_040, 25_120)
    at_best = clock.now()
    tick(25_060)
    monitor.run_once()
    trade = shown(alice)
    assert levels(trade) == (25_120.0, 25_020.0)
    assert trade["best_price"]["time"] == at_best.isoformat(timespec="milliseconds")[:-6] + "Z"
    tick(25_020)
    monitor.run_once()

    closed = shown(alice)
    assert (closed["exit_price"], levels(closed)) == (25_020.0, (None, None))


def test_that_of_a_sell_is_above_the_lowest_price(
    alice: Trader, monitor: Monitor, tick: Callable[..., None]
) -> None:
    alice.create_trade(trade_type="SELL", trailing_pct=1)
    tick(24_500, 24_700)
    monitor.run_once()

    assert levels(shown(alice)) == (24_500.0, 24_745.0)


def test_a_tick_between_two_full_passes_moves_it_at_once(
    alice: Trader, monitor: Monitor, feed: ScriptedFeed
) -> None:
    alice.create_trade(trailing_offset=100)
    monitor.run_once()
    for price in (25_300, 25_250):
        feed.push(INDEX, price)
    monitor.run_arrived()

    assert levels(shown(alice)) == (25_300.0, 25_200.0)


def test_one_that_begins_later_follows_prices_from_then_on(
    alice: Trader, monitor: Monitor, tick: Callable[..., None]
) -> None:
    alice.create_trade(trailing_offset=400)
    trade = alice.create_trade().get_json()
    tick(25_500, 25_300)
    monitor.run_once()
    path = f"/trades/{alice.client_id}/{trade['trade_id']}"
    assert alice.patch(path, {"trailing_offset": 50}).status_code == 200
    event = alice.notifications()[0]
    tick(25_310)
    monitor.run_once()

    newer, older = map(levels, alice.trades())
    assert (newer, older) == ((25_310.0, 25_260.0), (25_500.0, 25_100.0))
    assert (event["type"], event["data"]["trailing_stop"]) == ("trade_modified", 25_250.0)


def test_another_process_shows_it_from_what_is_stored(
    alice: Trader,
    monitor: Monitor,
    tick: Callable[..., None],
    make_app: Callable[..., Flask],
) -> None:
    alice.create_trade(trailing_offset=100)
    tick(25_300, 25_250)
    monitor.run_once()
    alice.client = make_app().test_client()

    assert levels(shown(alice)) == (25_300.0, 25_200.0)


def test_a_process_that_does_not_poll_has_the_ticks_since_the_last_pass(
    app: Flask,
    alice: Trader,
    tick: Callable[..., None],
    feed: ScriptedFeed,
    clock: ManualClock,
    make_settings: Callable[..., Settings],
    mongo_uri: str,
) -> None:
    follower = create_app(
        make_settings(), mongo_uri=mongo_uri, feed=ScriptedFeed(clock), clock=clock, polls=False
    )
    Following(follower).run_once()
    leader = Monitor(app)
    leader.run_if_leased()
    alice.client = follower.test_client()
    assert alice.create_trade(trailing_offset=100).status_code == 201
    tick(25_300, 25_250)
    leader.run_if_leased()
    for price in (25_400, 25_350):
        feed.push(INDEX, price)
    leader.run_arrived()

    with app.app_context():
        assert Trail.find([INDEX])[INDEX].peaks["BUY_all"][0].price == 25_300
        assert SymbolState.find_ticks([INDEX])[INDEX][-1].price == 25_350
    trade = shown(alice)
    assert (trade["last_price"], levels(trade)) == (25_350.0, (25_400.0, 25_300.0))


def test_ticks_outside_trading_hours_move_no_stop(
    alice: Trader, make_app: Callable[..., Flask], tick: Callable[..., None], clock: ManualClock
) -> None:
    app = make_app(MARKET_HOURS="enforce")
    alice.client, monitor = app.test_client(), Monitor(app)
    assert alice.create_trade(trailing_offset=100).status_code == 201
    tick(25_050)
    monitor.run_once()
    # The evening of the same day.
    clock.advance(12 * 3600)
    tick(25_200)
    monitor.run_once()

    assert levels(shown(alice)) == (25_050.0, 24_950.0)


def test_a_page_reads_the_best_prices_of_all_its_symbols_at_once(alice: Trader) -> None:
    for symbol in (INDEX, "RELIANCE.NS", "^BSESN"):
        alice.create_trade(symbol=symbol, trailing_pct=1)

    with recording_commands() as commands:
        assert [trade["trailing_stop"] for trade in alice.trades()] == [79_200.0, 1_386.0, 24_750.0]
    assert len([each for each in commands if each.get("find") == "symbols"]) <= 2
