"""Gaps: how the monitor settles the time in which it did not run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from flask import Flask

from app.domain.candle import Candle
from app.domain.quote import Source
from app.models import SHARES, MarketState, SymbolState
from app.monitor import Monitor
from tests.support.database_state import all_documents, assert_invariants
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.quotes import quote
from tests.support.users import Trader

DOWN_SECONDS = 600


@pytest.fixture
def watched(monitor: Monitor, clock: ManualClock) -> Callable[[], datetime]:
    """Make the last pass before an outage of ten minutes; return its time."""

    def go_down() -> datetime:
        clock.advance(1)
        monitor.run_once()
        last = clock.now()
        clock.advance(DOWN_SECONDS)
        return last

    return go_down


def minute(since: datetime, number: int) -> datetime:
    return since + timedelta(minutes=number)


def test_a_level_reached_in_the_gap_closes_at_its_price_and_time(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, watched: Callable[[], datetime]
) -> None:
    alice.create_trade(quantity=2, stop_loss=24_900, target_price=25_200)
    since = watched()
    feed.record("^NSEI", minute(since, 1), 25_000, 24_950, 25_050)
    reached = feed.record("^NSEI", minute(since, 2), 25_050, 24_850, 25_000)
    feed.record("^NSEI", minute(since, 3), 25_000, 25_300, 25_300)

    assert monitor.settle_gap() == 1

    (trade,) = alice.trades()
    assert trade["status"] == "STOP_LOSS_HIT"
    assert trade["exit_price"] == 24_900.0
    assert trade["pnl"] == -200.0
    assert trade["settled_from"] == "gap"
    event = alice.notifications()[0]
    assert event["type"] == "trade_auto_closed"
    assert event["data"]["settled_from"] == "gap"
    assert event["data"]["quote"] == {
        "price": 24_900.0,
        "source": "mock",
        "timestamp": f"{reached.time:%Y-%m-%dT%H:%M:%S}.000Z",
    }
    assert_invariants(alice.client_id)


def test_of_two_levels_the_one_reached_first_closes(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, watched: Callable[[], datetime]
) -> None:
    alice.create_trade(stop_loss=24_900, target_price=25_100)
    alice.create_trade(trade_type="SELL", stop_loss=25_100, target_price=24_900)
    since = watched()
    feed.record("^NSEI", minute(since, 4), 25_000, 24_800)
    feed.record("^NSEI", minute(since, 2), 25_000, 25_150)

    assert monitor.settle_gap() == 2
    sold, bought = alice.trades()
    assert (bought["status"], bought["exit_price"]) == ("TARGET_HIT", 25_100.0)
    assert (sold["status"], sold["exit_price"]) == ("STOP_LOSS_HIT", 25_100.0)


def test_a_candle_that_reached_both_levels_closes_at_the_stop_loss(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, watched: Callable[[], datetime]
) -> None:
    alice.create_trade(stop_loss=24_900, target_price=25_100)
    feed.record("^NSEI", minute(watched(), 1), 25_000, 25_500, 24_500, 25_000)

    assert monitor.settle_gap() == 1
    assert alice.trades()[0]["status"] == "STOP_LOSS_HIT"
    assert alice.trades()[0]["exit_price"] == 24_900.0


def test_a_level_passed_before_the_open_closes_at_the_open(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, watched: Callable[[], datetime]
) -> None:
    alice.create_trade(stop_loss=24_900)
    feed.record("^NSEI", minute(watched(), 1), 24_000, 24_950)

    assert monitor.settle_gap() == 1
    assert alice.trades()[0]["exit_price"] == 24_000.0


def test_candles_from_before_the_entry_do_not_close_a_trade(
    alice: Trader,
    feed: ScriptedFeed,
    clock: ManualClock,
    monitor: Monitor,
    watched: Callable[[], datetime],
) -> None:
    since = watched()
    feed.record("^NSEI", minute(since, 1), 24_000, 26_000)
    feed.set("^NSEI", 25_000)
    alice.create_trade(stop_loss=24_900, target_price=25_100)
    clock.advance(10)

    assert monitor.settle_gap() == 0
    assert alice.trades()[0]["status"] == "ACTIVE"


def test_trades_of_all_users_and_symbols_are_settled_in_order_of_time(
    alice: Trader,
    bob: Trader,
    feed: ScriptedFeed,
    monitor: Monitor,
    watched: Callable[[], datetime],
) -> None:
    levels = {"^NSEI": 24_900, "RELIANCE.NS": 1_350, "^BSESN": 79_000}
    for trader in (alice, bob):
        for symbol, stop_loss in levels.items():
            order = {"symbol": symbol, "stop_loss": stop_loss, "quantity": 1}
            assert trader.create_trade(**order).status_code == 201
    since = watched()
    feed.record("^NSEI", minute(since, 5), 25_000, 24_899)
    feed.record("RELIANCE.NS", minute(since, 3), 1_400, 1_349)
    feed.record("^BSESN", minute(since, 4), 80_000, 79_001)

    assert monitor.settle_gap() == 4
    for trader in (alice, bob):
        status = {trade["symbol"]: trade["status"] for trade in trader.trades()}
        assert status == {
            "^NSEI": "STOP_LOSS_HIT",
            "RELIANCE.NS": "STOP_LOSS_HIT",
            "^BSESN": "ACTIVE",
        }
        newest, second = trader.notifications()[:2]
        assert (second["data"]["symbol"], newest["data"]["symbol"]) == ("RELIANCE.NS", "^NSEI")
        assert_invariants(trader.client_id)


def test_a_real_trade_is_not_closed_by_simulated_candles(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, watched: Callable[[], datetime]
) -> None:
    feed.source = Source.YAHOO
    feed.set("^NSEI", 25_000)
    alice.create_trade(stop_loss=24_900)
    since = watched()
    feed.record("^NSEI", minute(since, 1), 24_000, source=Source.MOCK)
    feed.record("^NSEI", minute(since, 2), 24_800, source=Source.ANGEL_ONE)

    assert monitor.settle_gap() == 1
    assert alice.trades()[0]["exit_price"] == 24_800.0


def test_without_candles_the_next_quote_decides(
    alice: Trader,
    feed: ScriptedFeed,
    clock: ManualClock,
    monitor: Monitor,
    watched: Callable[[], datetime],
) -> None:
    alice.create_trade(stop_loss=24_900)
    watched()
    assert monitor.settle_gap() == 0
    assert alice.trades()[0]["status"] == "ACTIVE"

    clock.advance(1)
    feed.tick("^NSEI", 24_700)
    assert monitor.run_once().closed == 1
    (trade,) = alice.trades()
    assert (trade["exit_price"], trade["settled_from"]) == (24_700.0, None)


def test_a_first_start_has_no_gap(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    alice.create_trade(stop_loss=24_900)
    clock.advance(DOWN_SECONDS)
    feed.record("^NSEI", clock.now(), 24_000)
    assert monitor.settle_gap() == 0


def test_repeated_restarts_settle_the_gap_once(
    app: Flask,
    alice: Trader,
    feed: ScriptedFeed,
    clock: ManualClock,
    watched: Callable[[], datetime],
) -> None:
    alice.create_trade(stop_loss=24_900)
    alice.create_trade(stop_loss=24_500)
    since = watched()
    feed.record("^NSEI", minute(since, 1), 25_000, 24_800)

    assert Monitor(app).settle_gap() == 1
    before = all_documents()
    for _ in range(3):
        assert Monitor(app).settle_gap() == 0
        clock.advance(60)
    assert all_documents() == before
    assert_invariants(alice.client_id)


def test_the_next_restart_completes_an_interrupted_settlement(
    app: Flask,
    alice: Trader,
    feed: ScriptedFeed,
    watched: Callable[[], datetime],
) -> None:
    alice.create_trade(stop_loss=24_900)
    since = watched()
    feed.record("^NSEI", minute(since, 1), 25_000, 24_800)
    Monitor(app).settle_gap()
    # As after a crash between closing the trades and storing the progress.
    with app.app_context():
        save_progress(feed.name, since)

    assert Monitor(app).settle_gap() == 0
    assert_invariants(alice.client_id)


def save_progress(feed: str, time: datetime) -> None:
    shares = range(SHARES)
    MarketState.save_progress(feed, dict.fromkeys(shares, time), dict.fromkeys(shares, 0))


def test_a_standby_that_takes_over_settles_the_gap_before_its_first_pass(
    app: Flask,
    alice: Trader,
    feed: ScriptedFeed,
    clock: ManualClock,
    watched: Callable[[], datetime],
) -> None:
    alice.create_trade(stop_loss=24_900)
    since = watched()
    feed.record("^NSEI", minute(since, 1), 25_000, 24_800)
    feed.tick("^NSEI", 24_000)
    standby = Monitor(app)
    watching = threading.Thread(target=standby.run)
    watching.start()
    try:
        deadline = time.monotonic() + 10
        while standby.last_pass_at is None and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        standby.stop()
        watching.join(30)

    (trade,) = alice.trades()
    assert (trade["exit_price"], trade["settled_from"]) == (24_900.0, "gap")
    with app.app_context():
        assert set(MarketState.load_progress(feed.name).values()) == {clock.now()}


def test_each_pass_stores_up_to_when_the_market_was_polled(
    app: Flask, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    for _ in range(2):
        clock.advance(7)
        monitor.run_once()
        with app.app_context():
            assert set(MarketState.load_progress(feed.name).values()) == {clock.now()}


@pytest.mark.parametrize("price", ["0", "-5", "NaN", "1e12"])
def test_a_candle_with_an_invalid_price_closes_nothing(
    alice: Trader,
    feed: ScriptedFeed,
    monitor: Monitor,
    watched: Callable[[], datetime],
    price: str,
) -> None:
    alice.create_trade(stop_loss=24_900)
    alice.create_trade(trade_type="SELL", target_price=24_900)
    since = watched()
    good, bad = Decimal(25_000), Decimal(price)
    for number, prices in enumerate(((bad, good, bad, good), (good, bad, good, good))):
        candle = Candle("^NSEI", minute(since, number + 1), *prices, Source.MOCK)
        feed.past.append(candle)

    assert monitor.settle_gap() == 0

    assert {trade["status"] for trade in alice.trades()} == {"ACTIVE"}


@pytest.mark.usefixtures("app_context")
def test_an_invalid_stored_quote_is_ignored() -> None:
    for price in (0, -1, "NaN", "1e12"):
        SymbolState.save_quotes([quote(price, symbol="TCS.NS")])

        assert SymbolState.find_quote("TCS.NS") is None
        assert "TCS.NS" not in SymbolState.load_quotes()
