"""A replay across an ex-date: a backtest over a split shows no stop-loss at half the price."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from pymongo import MongoClient

from app.cli.corporate_actions import corporate_actions
from app.domain.corporate_actions import ActionKind, CorporateAction, Ratio
from app.market_data.recordings.recorder import Recorder
from app.models.stored_action import SIMULATED, StoredAction
from app.monitor import Monitor
from app.services import now, services
from tests.conftest import DATABASE_NAME
from tests.support.corporate_actions import OPEN, SHARE
from tests.support.database_state import assert_invariants, documents
from tests.support.emptying import empty_database
from tests.support.exchange_time import INDIA, advance_to, ist
from tests.support.faults import before_command
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.users import Trader, sign_up

STOP = {"symbol": SHARE, "quantity": 100, "stop_loss": 1_300}
# The time in India, and the price: a bonus of one unit for each on the 25th, then a fall.
MARKET = (
    ("2026-11-24 15:28", 1_400),
    ("2026-11-24 15:29", 1_410),
    ("2026-11-25 09:15", 705),
    ("2026-11-25 09:16", 700),
    ("2026-11-25 09:17", 645),
    ("2026-11-25 09:18", 660),
)
# Later than the last look for trades that an action has to adjust.
SWEEPS, SWEEP_SECONDS = 7, 200
Start = Callable[[Path], Flask]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recordings" / "market.csv"
    path.parent.mkdir()
    rows = [f"{time},{SHARE},{price}" for time, price in MARKET]
    path.write_text("\n".join(["timestamp,symbol,price", *rows]))
    return path


@pytest.fixture
def start(make_app: Callable[..., Flask], start_app: Callable[..., Flask]) -> Start:
    """Start a replay of a recording, or start it again."""
    make_app()
    return lambda path: start_app(MARKET_DATA="replay", REPLAY_FILE=path)


def bonus(opens_at: datetime) -> CorporateAction:
    """Return a bonus of one unit for each, in a market without a pre-open session."""
    ex_date = opens_at.astimezone(INDIA).date()
    return CorporateAction(SHARE, ex_date, ActionKind.BONUS, opens_at, opens_at, Ratio(1, 1))


def command(app: Flask, *arguments: str) -> str:
    """Run `corporate-actions`; return its output."""
    with app.app_context():
        return app.test_cli_runner().invoke(corporate_actions, arguments).output


def load(app: Flask, path: Path) -> None:
    path.write_text(f"symbol,ex_date,kind,ratio,amount\n{SHARE},2026-11-25,bonus,1:1,\n")
    assert command(app, "load", str(path)).startswith("1 actions loaded")


def run_backtest(app: Flask, clock: ManualClock) -> tuple[dict[str, Any], dict[str, Any]]:
    """Buy at the beginning with a stop-loss; return the trade at the open, and at the end."""
    monitor = Monitor(app)
    trader = sign_up(app.test_client())
    trader.open_portfolio()
    monitor.run_once()
    assert trader.create_trade(**STOP).get_json()["entry_price"] == 1_400.0
    assert trader.post("/market/alerts", {"symbol": SHARE, "below": 1_300}).status_code == 201

    (opening,) = trades_at(app, monitor, clock, trader, OPEN)
    assert [each["status"] for each in alerts_of(trader)] == ["ACTIVE"]
    (ending,) = trades_at(app, monitor, clock, trader, MARKET[-1][0])
    assert [(each["status"], each["price"]) for each in alerts_of(trader)] == [("TRIGGERED", 645)]
    for _ in range(SWEEPS):
        clock.advance(SWEEP_SECONDS)
        monitor.run_once()
    with app.app_context():
        assert_invariants(trader.client_id)
    return opening, ending


def trades_at(
    app: Flask, monitor: Monitor, clock: ManualClock, trader: Trader, time: str
) -> list[dict[str, Any]]:
    """Play up to a recorded time in India; return the trades then."""
    with app.app_context():
        clock.advance((ist(time) - services().feed.now()).total_seconds())
    monitor.run_once()
    return trader.trades()


def alerts_of(trader: Trader) -> list[dict[str, Any]]:
    alerts: list[dict[str, Any]] = trader.get("/market/alerts").get_json()["alerts"]
    return alerts


def assert_adjusted(opening: dict[str, Any], ending: dict[str, Any]) -> None:
    shown = [opening[name] for name in ("status", "quantity", "entry_price", "stop_loss")]
    assert shown == ["ACTIVE", 200, 700.0, 650.0]
    assert [ending[name] for name in ("status", "exit_price", "pnl")] == [
        "STOP_LOSS_HIT",
        645.0,
        -11_000.0,
    ]


def test_each_backtest_over_a_split_is_adjusted(
    start: Start, recording: Path, clock: ManualClock, tmp_path: Path
) -> None:
    load(start(recording), tmp_path / "actions.csv")

    for _ in range(2):
        assert_adjusted(*run_backtest(start(recording), clock))


def test_an_action_of_a_backtest_is_withdrawn_once_no_trade_is_open(
    start: Start, recording: Path, clock: ManualClock, tmp_path: Path
) -> None:
    app = start(recording)
    load(app, tmp_path / "actions.csv")
    app = start(recording)
    trader = sign_up(app.test_client())
    trader.open_portfolio()
    monitor = Monitor(app)
    monitor.run_once()
    trader.create_trade(**STOP)
    trades_at(app, monitor, clock, trader, OPEN)
    withdraw = ("withdraw", SHARE, "2026-11-25", "bonus")

    assert "cannot be withdrawn while a trade is open" in command(app, *withdraw)
    trades_at(app, monitor, clock, trader, MARKET[-1][0])
    assert command(app, *withdraw) == f"{SHARE} 2026-11-25 bonus is withdrawn.\n"
    with app.app_context():
        assert StoredAction.find_all() == []


def test_a_replay_that_goes_on_has_adjusted_what_its_ex_date_has_passed(
    start: Start, recording: Path, clock: ManualClock, tmp_path: Path
) -> None:
    app = start(recording)
    load(app, tmp_path / "actions.csv")
    trader = sign_up(app.test_client())
    trader.open_portfolio()
    monitor = Monitor(app)
    monitor.run_once()
    trader.create_trade(**STOP)
    trades_at(app, monitor, clock, trader, "2026-11-25 09:16")

    app = start(recording)
    trader.client = app.test_client()
    clock.advance(120)
    assert Monitor(app).settle_gap() == 1

    (trade,) = trader.trades()
    assert (trade["quantity"], trade["exit_price"], trade["pnl"]) == (200, 645.0, -11_000.0)
    assert len(documents("notifications", type="trade_adjusted")) == 1


def test_a_candle_of_after_a_split_closes_no_trade_that_was_written_meanwhile(
    start: Start, recording: Path, clock: ManualClock
) -> None:
    market = (("15:28:55", 1_400), ("15:29:50", 1_400), ("15:30:02", 700), ("15:31:30", 701))
    rows = [f"2026-11-24 {time},{SHARE},{price}" for time, price in market]
    recording.write_text("\n".join(["timestamp,symbol,price", *rows]))
    opens_at = ist("2026-11-24 15:30")
    app = start(recording)
    with app.app_context():
        assert StoredAction.add(bonus(opens_at), "file", now())
        StoredAction.count_load()
    trader = sign_up(app.test_client())
    trader.open_portfolio()
    Monitor(app).run_once()
    clock.advance(58)
    app = start(recording)
    trader.client = app.test_client()
    monitor = Monitor(app)

    def settle_beyond_the_open() -> None:
        clock.advance(10)
        settling = Thread(target=monitor.settle_gap)
        settling.start()
        settling.join()

    with before_command("insert", "trades", settle_beyond_the_open):
        assert trader.create_trade(**STOP).status_code == 201
    assert trader.trades()[0]["status"] == "ACTIVE"

    for _ in range(2):
        clock.advance(60)
        monitor.run_once()
    (trade,) = trader.trades()
    assert (trade["status"], trade["quantity"], trade["stop_loss"]) == ("ACTIVE", 200, 650.0)


def test_a_recording_has_the_actions_of_its_market(
    app: Flask,
    alice: Trader,
    feed: ScriptedFeed,
    clock: ManualClock,
    start: Start,
    database_client: MongoClient[dict[str, Any]],
    tmp_path: Path,
) -> None:
    opens_at = ist(OPEN)
    action = bonus(opens_at)
    with app.app_context():
        assert StoredAction.add(action, SIMULATED, now())
        StoredAction.count_load()
        recorder = Recorder(
            tmp_path / "market.csv", clock, by_day=False, actions=services().actions.of
        )
    alice.create_trade(**STOP)
    monitor = Monitor(app, recorder=recorder)
    for time, price in MARKET:
        advance_to(clock, ist(time))
        feed.tick(SHARE, price)
        monitor.run_once()
    recorder.flush()
    recorder.close()

    # On the server that has recorded it, and on one that knows nothing of it.
    for is_new in (False, True):
        if is_new:
            empty_database(database_client[DATABASE_NAME])
        replayed = start(tmp_path / "market.csv")
        assert_adjusted(*run_backtest(replayed, clock))
        with replayed.app_context():
            (stored,) = StoredAction.find_all()
        assert (stored.action.opens_at, stored.is_recorded) == (opens_at.astimezone(UTC), True)


def test_a_replay_follows_no_action_of_the_simulated_market_that_it_has_not_recorded(
    start: Start, recording: Path, clock: ManualClock
) -> None:
    opens_at = ist("2026-11-24 15:29")
    action = bonus(opens_at)
    app = start(recording)
    with app.app_context():
        assert StoredAction.add(action, SIMULATED, now())
        StoredAction.count_load()
    app = start(recording)
    trader = sign_up(app.test_client())
    trader.open_portfolio()
    monitor = Monitor(app)
    monitor.run_once()
    trader.create_trade(**STOP)

    (trade,) = trades_at(app, monitor, clock, trader, "2026-11-24 15:29")

    assert (trade["status"], trade["quantity"]) == ("ACTIVE", 100)
