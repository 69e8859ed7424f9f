"""The monitor: single passes, its loop, and two monitors on one database."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.domain.trade import TradeStatus
from app.extensions import socketio
from app.models import SymbolState
from app.monitor import Monitor
from app.monitor.loop import Pass
from app.services import services
from app.trades.service import open_trade
from config import Settings
from tests.support.concurrency import running
from tests.support.factories import assert_portfolio_balances, create_users, order, trades_of
from tests.support.market import ManualClock, ScriptedFeed, WatchedFeed

SECONDS = 20


@pytest.fixture
def watched(clock: ManualClock) -> WatchedFeed:
    return WatchedFeed(clock)


@pytest.fixture
def watched_app(
    app: Flask,
    make_settings: Callable[..., Settings],
    mongo_uri: str,
    watched: WatchedFeed,
    clock: ManualClock,
) -> Flask:
    """An application with the watched feed and a short interval, on the test's database."""
    settings = make_settings(MONITOR_INTERVAL_SECONDS="0.02")
    return create_app(settings, mongo_uri=mongo_uri, feed=watched, clock=clock)


def prices_sent_to(client: Any) -> list[float]:
    return [
        each["args"][0]["price"] for each in client.get_received() if each["name"] == "live_price"
    ]


def test_a_pass_publishes_the_latest_prices_and_settles_every_tick(
    app_context: Flask, monitor: Monitor, feed: ScriptedFeed
) -> None:
    create_users("alice")
    open_trade("alice", order(stop_loss=24_990))
    client = socketio.test_client(app_context)
    client.get_received()
    for price in (24_995, 24_980, 25_050):
        feed.tick("^NSEI", price)

    assert monitor.run_once() == Pass(ticks=3, closed=1)

    assert prices_sent_to(client) == [25_050.0]
    assert services().quotes.latest("^NSEI").price == 25_050
    assert SymbolState.load_quotes()["^NSEI"].price == 25_050
    (trade,) = trades_of("alice")
    assert trade.exit is not None
    assert (trade.status, trade.exit.price) == (TradeStatus.STOP_LOSS_HIT, Decimal(24_980))
    assert_portfolio_balances("alice")


def test_a_pass_without_news_does_nothing(app_context: Flask, monitor: Monitor) -> None:
    assert monitor.run_once() == Pass(ticks=0, closed=0)
    assert SymbolState.load_quotes() == {}


def test_a_tick_is_settled_in_one_pass_only(
    app_context: Flask, monitor: Monitor, feed: ScriptedFeed
) -> None:
    create_users("alice")
    feed.tick("^NSEI", 24_000)
    monitor.run_once()
    feed.set("^NSEI", 25_000)
    services().quotes.update([feed.set("^NSEI", 25_000)])
    open_trade("alice", order(stop_loss=24_990))

    assert monitor.run_once() == Pass(ticks=0, closed=0)


def test_an_invalid_price_is_ignored(
    app_context: Flask, monitor: Monitor, feed: ScriptedFeed
) -> None:
    create_users("alice")
    open_trade("alice", order(stop_loss=24_990))
    feed.tick("^NSEI", 0)
    feed.tick("^NSEI", -25_000)
    feed.tick("^BSESN", 80_100)

    assert monitor.run_once() == Pass(ticks=1, closed=0)

    assert services().quotes.latest("^NSEI").price == 25_000
    assert set(SymbolState.load_quotes()) == {"^BSESN"}


def test_indices_and_traded_and_followed_symbols_are_polled(
    watched_app: Flask, watched: WatchedFeed
) -> None:
    watched.set("RELIANCE.NS", 1_400)
    monitor = Monitor(watched_app)
    with watched_app.app_context():
        monitor.run_once()
        create_users("alice")
        open_trade("alice", order("RELIANCE.NS"))
        services().polled_symbols.try_follow(["TCS.NS"], budget=1)
        # Traded in another process: known from the database only.
        SymbolState.mark_traded("INFY.NS", services().clock.now())
        monitor.run_once()
        services().polled_symbols.unfollow("TCS.NS")
        monitor.run_once()

    indices = {"^NSEI", "^BSESN"}
    assert watched.polls == [
        indices,
        {*indices, "RELIANCE.NS", "TCS.NS", "INFY.NS"},
        {*indices, "RELIANCE.NS", "INFY.NS"},
    ]


def test_the_loop_repeats_passes_until_it_is_stopped(
    watched_app: Flask, watched: WatchedFeed
) -> None:
    monitor = Monitor(watched_app)

    with running(monitor) as thread:
        watched.wait_for_polls(4)
        monitor.stop()
        thread.join(SECONDS)
        polls = len(watched.polls)

    assert monitor.last_pass_at is not None
    assert len(watched.polls) == polls


def test_a_failed_pass_does_not_end_the_loop(watched_app: Flask, watched: WatchedFeed) -> None:
    watched.failures = 2
    with watched_app.app_context():
        create_users("alice")
        watched.set("^NSEI", 25_000)
        open_trade("alice", order(stop_loss=24_990))
    watched.tick("^NSEI", 24_000)

    with running(Monitor(watched_app)):
        watched.wait_for_polls(5)

    with watched_app.app_context():
        assert [trade.status for trade in trades_of("alice")] == [TradeStatus.STOP_LOSS_HIT]
