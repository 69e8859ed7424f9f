"""The monitor outside market hours: prices are published, and trigger nothing then or later."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.monitor import Monitor
from tests.support.database_state import assert_invariants
from tests.support.exchange_time import advance_to, ist
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.users import Trader


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(MARKET_HOURS="enforce")


def test_a_tick_outside_market_hours_is_published_and_closes_nothing(
    alice: Trader,
    client: FlaskClient,
    feed: ScriptedFeed,
    clock: ManualClock,
    monitor: Monitor,
) -> None:
    alice.create_trade(stop_loss=24_900, target_price=25_100)
    advance_to(clock, ist("2026-11-23 15:30"))
    feed.tick("^NSEI", 24_000)
    closed = [monitor.run_once().closed]
    assert client.get("/market/live/NIFTY").get_json()["price"] == 24_000.0

    advance_to(clock, ist("2026-11-25 09:15"))
    closed.append(monitor.run_once().closed)
    feed.tick("^NSEI", 25_000)
    closed.append(monitor.run_once().closed)

    assert closed == [0, 0, 0]
    assert alice.trades()[0]["status"] == "ACTIVE"
    assert_invariants(alice.client_id)


def test_the_last_tick_before_the_closing_auction_and_the_first_of_a_session_count(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    alice.create_trade(stop_loss=24_900)
    alice.create_trade(target_price=25_100)
    advance_to(clock, ist("2026-11-23 15:14:59.999"))
    feed.tick("^NSEI", 24_899)
    closed = [monitor.run_once().closed]
    advance_to(clock, ist("2026-11-25 09:15"))
    feed.tick("^NSEI", 25_101)
    closed.append(monitor.run_once().closed)

    assert closed == [1, 1]
    assert {trade["status"] for trade in alice.trades()} == {"STOP_LOSS_HIT", "TARGET_HIT"}


def test_every_tick_counts_if_market_hours_are_ignored(
    make_app: Callable[..., Flask], alice: Trader, feed: ScriptedFeed, clock: ManualClock
) -> None:
    alice.create_trade(stop_loss=24_900)
    monitor = Monitor(make_app(MARKET_HOURS="ignore"))
    advance_to(clock, ist("2026-11-28 11:00"))
    feed.tick("^NSEI", 24_000)

    assert monitor.run_once().closed == 1
