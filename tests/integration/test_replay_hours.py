"""A replay with enforced hours: these hold in recorded time, whatever the time is now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from app.market_data.feeds.followed import FollowedFeed
from app.models import SHARES, MarketState
from app.monitor import Monitor
from app.services import services
from config import Settings
from tests.support.exchange_time import ist
from tests.support.market import ManualClock
from tests.support.recording_files import write_recording
from tests.support.users import Trader, sign_up

# A Friday, 30 seconds before the close; Monday is the next session.
START = ist("2026-01-09 15:29:30")
MONDAY = (ist("2026-01-12 09:15") - START).total_seconds()
SUNDAY = ist("2026-11-22 03:00")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(SUNDAY)


@pytest.fixture
def app(
    make_app: Callable[..., Flask],
    make_settings: Callable[..., Settings],
    mongo_uri: str,
    clock: ManualClock,
    tmp_path: Path,
) -> Flask:
    """A replay of the last seconds of a session, of prices after it, and of the next session."""
    make_app()
    ticks = [(0, 25_000), (20, 24_990), (29, 24_900), (31, 24_000), (MONDAY, 24_950)]
    recording = write_recording(
        tmp_path / "recording.csv",
        [(at, "^NSEI", price) for at, price in [*ticks, (MONDAY + 10, 24_800)]],
        START,
    )
    variables = {"MARKET_DATA": "replay", "REPLAY_FILE": recording, "MARKET_HOURS": "enforce"}
    return create_app(make_settings(**variables), mongo_uri=mongo_uri, clock=clock)


@pytest.fixture
def alice(app: Flask) -> Trader:
    trader = sign_up(app.test_client())
    trader.open_portfolio()
    return trader


def statuses(trader: Trader) -> list[str]:
    return [trade["status"] for trade in reversed(trader.trades())]


def test_orders_are_filled_and_stops_fire_in_the_recorded_session(
    app: Flask, alice: Trader, clock: ManualClock
) -> None:
    monitor = Monitor(app)
    monitor.run_once()
    assert alice.create_trade(stop_loss=24_950).get_json()["status"] == "ACTIVE"
    assert alice.create_trade(stop_loss=24_500).get_json()["status"] == "ACTIVE"
    status = alice.get("/market/status").get_json()
    assert (status["open"], status["session_date"]) == (True, "2026-01-09")

    # The poll is after the close, and its ticks from before it count.
    clock.advance(40)
    assert monitor.run_once().closed == 1
    assert statuses(alice) == ["STOP_LOSS_HIT", "ACTIVE"]
    assert alice.get("/market/status").get_json()["open"] is False


def test_an_order_after_the_recorded_close_waits_for_the_next_recorded_session(
    app: Flask, alice: Trader, clock: ManualClock
) -> None:
    monitor = Monitor(app)
    clock.advance(40)
    monitor.run_once()
    queued = alice.create_trade().get_json()
    assert (queued["status"], queued["queued_for"]) == ("PENDING", "2026-01-12")
    clock.advance(MONDAY - 40)
    monitor.run_once()

    (trade,) = alice.trades()
    assert (trade["status"], trade["entry_price"]) == ("ACTIVE", 24_950.0)


def test_a_day_order_ends_with_its_recorded_session(
    app: Flask, alice: Trader, clock: ManualClock
) -> None:
    monitor = Monitor(app)
    monitor.run_once()
    alice.create_trade(order_type="LIMIT", limit_price=24_000, time_in_force="DAY")
    clock.advance(MONDAY)
    monitor.run_once()
    monitor.run_once()

    assert statuses(alice) == ["EXPIRED"]


def test_a_process_that_polls_nothing_knows_the_recorded_time(
    app: Flask, clock: ManualClock
) -> None:
    feed = FollowedFeed("replay", clock, lambda _symbols: None, MarketState.replayed_to)
    with app.app_context():
        assert feed.market_time() == SUNDAY
        services().feed.poll(["^NSEI"])
        shares = range(SHARES)
        MarketState.save_progress("replay", dict.fromkeys(shares, START), dict.fromkeys(shares, 1))

        assert feed.market_time() == START
        assert services().feed.market_time() - START < timedelta(seconds=1)
