"""A replay after a restart: where it continues, and what it settles of the time it was down."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask

from app import create_app
from app.market_data.feed import Feed
from app.market_data.feeds.followed import FollowedFeed
from app.monitor import Monitor
from app.monitor.following import Following
from app.services import services
from config import Settings
from tests.support.database_state import assert_invariants, documents
from tests.support.faults import before_command
from tests.support.market import ManualClock
from tests.support.users import sign_up


@pytest.fixture
def replay(
    make_app: Callable[..., Flask],
    make_settings: Callable[..., Settings],
    mongo_uri: str,
    clock: ManualClock,
    tmp_path: Path,
) -> Callable[..., Flask]:
    """Start or restart with a recording of two minutes: 25,000, 24,000, 25,000."""
    make_app()
    recording = tmp_path / "recording.csv"
    lines = ["timestamp,symbol,price"]
    for second in range(0, 121, 10):
        price = 24_000 if second == 90 else 25_000
        at = f"2026-01-05T03:{45 + second // 60}:{second % 60:02}Z"
        lines += [f"{at},^NSEI,{price}", f"{at},^BSESN,80000"]
    recording.write_text("\n".join(lines))

    def start(*, feed: Feed | None = None, polls: bool = True, **variables: object) -> Flask:
        variables = {"MARKET_DATA": "replay", "REPLAY_FILE": recording, **variables}
        settings = make_settings(**variables)
        return create_app(settings, mongo_uri=mongo_uri, feed=feed, clock=clock, polls=polls)

    return start


def recorded_second(app: Flask) -> float:
    with app.app_context():
        time = services().feed.now()
    return (time - datetime.fromisoformat("2026-01-05T03:45:00Z")).total_seconds()


def test_an_interrupted_replay_continues_as_if_it_had_not_stopped(
    replay: Callable[..., Flask], clock: ManualClock
) -> None:
    Monitor(replay()).run_once()
    clock.advance(50)
    assert recorded_second(replay()) == 50
    assert recorded_second(replay(REPLAY_SPEED=2)) == 0


def test_a_replay_closes_trades_whose_level_was_reached_while_it_was_down(
    replay: Callable[..., Flask], clock: ManualClock
) -> None:
    app = replay()
    alice = sign_up(app.test_client())
    alice.open_portfolio()
    alice.create_trade(stop_loss=24_500)
    clock.advance(35)
    Monitor(app).run_once()
    clock.advance(70)

    app = replay()
    assert Monitor(app).settle_gap() == 1
    alice.client = app.test_client()
    (trade,) = alice.trades()
    # The minute began at 25,000, so the price fell through the stop-loss.
    assert (trade["exit_price"], trade["settled_from"]) == (24_500.0, "gap")
    assert_invariants(alice.client_id)


def test_a_trade_opened_after_the_last_pass_is_settled_from_its_entry(
    replay: Callable[..., Flask], clock: ManualClock
) -> None:
    app = replay()
    alice = sign_up(app.test_client())
    alice.open_portfolio()
    clock.advance(65)
    Monitor(app).run_once()
    # The quote of the pass is too old by now: the price comes from the feed itself.
    clock.advance(21)
    alice.create_trade(stop_loss=24_500)
    clock.advance(40)

    app = replay()
    assert Monitor(app).settle_gap() == 1
    alice.client = app.test_client()
    # It entered at the last price returned, so the rest of that minute counts.
    assert alice.trades()[0]["exit_price"] == 24_500.0


@pytest.mark.parametrize("written", ["trades", "alerts"])
def test_what_is_written_while_a_gap_is_settled_does_not_miss_its_prices(
    replay: Callable[..., Flask], clock: ManualClock, written: str
) -> None:
    app = replay()
    alice = sign_up(app.test_client())
    alice.open_portfolio()
    alice.create_trade(stop_loss=20_000)
    Monitor(app).run_once()
    clock.advance(85)
    app = replay()
    alice.client = app.test_client()

    def settle_up_to_95() -> None:
        clock.advance(10)
        # Its searches belong to no transaction of the request.
        settling = Thread(target=Monitor(app).settle_gap)
        settling.start()
        settling.join()

    with before_command("insert", written, settle_up_to_95):
        if written == "trades":
            alice.create_trade(stop_loss=24_500)
        else:
            alice.post("/market/alerts", {"symbol": "NIFTY", "below": 24_500})

    # The price of second 90 is on no board: the gap was settled from candles.
    events = [event["type"] for event in alice.notifications()]
    assert events[0] == {"trades": "trade_auto_closed", "alerts": "price_alert"}[written]
    assert_invariants(alice.client_id)


@pytest.mark.parametrize("written", ["trades", "alerts"])
@pytest.mark.parametrize("is_web", [True, False], ids=["web", "worker"])
def test_what_another_process_writes_while_a_gap_is_settled_does_not_miss_its_prices(
    replay: Callable[..., Flask], clock: ManualClock, written: str, is_web: bool
) -> None:
    leader = Monitor(replay())
    feed = FollowedFeed("replay", clock, lambda _symbols: None) if is_web else None
    other = replay(feed=feed, polls=False)
    Following(other).run_once()
    leader.run_if_leased()
    alice = sign_up(other.test_client())
    alice.open_portfolio()
    alice.create_trade(stop_loss=20_000)
    clock.advance(85)
    leader.run_if_leased()
    successor = Monitor(replay())

    def take_over() -> None:
        leader.stop()
        clock.advance(10)
        successor.run_if_leased()

    def in_between() -> None:
        # The commands of both belong to no transaction of the request.
        thread = Thread(target=take_over)
        thread.start()
        thread.join()
        assert not successor.is_standing_by

    with before_command("insert", written, in_between):
        if written == "trades":
            alice.create_trade(stop_loss=24_500)
        else:
            alice.post("/market/alerts", {"symbol": "NIFTY", "below": 24_500})
    successor.run_if_leased()

    events = [event["type"] for event in alice.notifications()]
    assert events[0] == {"trades": "trade_auto_closed", "alerts": "price_alert"}[written]
    assert documents("late_writes") == []
    assert_invariants(alice.client_id)


def test_an_ended_replay_starts_over_if_no_trade_is_open(
    replay: Callable[..., Flask], clock: ManualClock
) -> None:
    app = replay()
    clock.advance(200)
    Monitor(app).run_once()
    assert recorded_second(app) == 120
    assert recorded_second(replay()) == 0


def test_an_ended_replay_stays_at_its_end_while_a_trade_is_open(
    replay: Callable[..., Flask], clock: ManualClock
) -> None:
    app = replay()
    alice = sign_up(app.test_client())
    alice.open_portfolio()
    alice.create_trade()
    clock.advance(200)
    Monitor(app).run_once()

    app = replay()
    assert recorded_second(app) == 120
    assert Monitor(app).settle_gap() == 0
    alice.client = app.test_client()
    assert alice.trades()[0]["last_price"] == 25_000.0
    alice.post(f"/trades/exit-all/{alice.client_id}")
    assert recorded_second(replay()) == 0


def test_an_ended_replay_that_is_started_again_plays_none_of_its_ticks_again(
    replay: Callable[..., Flask], clock: ManualClock
) -> None:
    app = replay()
    alice = sign_up(app.test_client())
    alice.open_portfolio()
    clock.advance(100)
    Monitor(app).run_once()
    # After the fall to 24,000.
    alice.create_trade(stop_loss=24_500)
    clock.advance(100)
    Monitor(app).run_once()

    app = replay()
    Monitor(app).run_if_leased()

    alice.client = app.test_client()
    assert alice.trades()[0]["status"] == "ACTIVE"
