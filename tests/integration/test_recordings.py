"""Recordings of a running market: a replay of one gives the same books to the paisa."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pymongo import MongoClient

from app import create_app
from app.market_data.recordings.recorder import Recorder
from app.monitor import Monitor
from app.services import services
from config import Settings
from tests.conftest import DATABASE_NAME
from tests.support.database_state import assert_invariants
from tests.support.emptying import empty_database
from tests.support.market import ManualClock
from tests.support.recording import BASES, write_swinging_market
from tests.support.users import Trader, sign_up

STEPS = 30
STEP_SECONDS = {"replay": 0.5, "simulated": 180.0}
# Distances of the levels from the price, as a fraction: the market reaches them within minutes.
REACH = {"replay": (0.001, 0.02), "simulated": (0.0003, 0.003)}
# Some of them are polled only once they are traded.
SYMBOLS = {
    "replay": tuple(BASES),
    "simulated": ("^NSEI", "RELIANCE.NS", "TCS.NS", "^NSEBANK"),
}
# Between a pass and the requests after it. A replay has the prices of the last pass, the simulated
# market those of now.
PAUSE_SECONDS = {"replay": 0.0, "simulated": 0.2}
# What differs between two runs of the same market.
OWN = ("id", "source", "time", "timestamp", "created_at", "closed_at")
Start = Callable[..., Flask]


@pytest.fixture
def start(
    make_app: Callable[..., Flask],
    make_settings: Callable[..., Settings],
    mongo_uri: str,
    database_client: MongoClient[dict[str, Any]],
) -> Start:
    """Start an application on an empty database, with the feed that its variables name."""
    make_app()

    def start(clock: ManualClock, **variables: object) -> Flask:
        empty_database(database_client[DATABASE_NAME])
        return create_app(make_settings(**variables), mongo_uri=mongo_uri, clock=clock)

    return start


class Play:
    """Passes of a monitor, and random requests in between that a seed determines."""

    def __init__(
        self, market: str, app: Flask, clock: ManualClock, recorder: Recorder | None = None
    ) -> None:
        self._market = market
        self._clock = clock
        self._monitor = Monitor(app, recorder=recorder)
        self._is_recorded = recorder is None
        self._chance = random.Random(18)
        self.trader = sign_up(app.test_client())
        self.trader.open_portfolio()

    def run(self) -> None:
        for _ in range(STEPS):
            self._monitor.run_once()
            self._clock.advance(PAUSE_SECONDS[self._market])
            if self._is_recorded and self._market == "simulated":
                # The quotes that the first run asked for are ticks of the recording.
                self._monitor.run_once()
            for _ in range(self._chance.randint(0, 2)):
                self._request()
            self._clock.advance(STEP_SECONDS[self._market] - PAUSE_SECONDS[self._market])
        self._monitor.run_once()

    def _request(self) -> None:
        is_order = self._chance.random() < 0.8
        trades = [] if is_order else [each for each in self.trader.trades() if is_open(each)]
        if not trades:
            self.trader.create_trade(**self._order())
            return
        trade = self._chance.choice(trades)
        action = "cancel" if trade["status"] == "PENDING" else "exit"
        self.trader.post(f"/trades/{action}/{trade['trade_id']}", {})

    def _order(self) -> dict[str, Any]:
        symbol = self._chance.choice(SYMBOLS[self._market])
        side = self._chance.choice(("BUY", "SELL"))
        price = self.trader.get(f"/market/live/{symbol}").get_json()["price"]
        reach = REACH[self._market]
        near, far = (round(price * self._chance.uniform(*reach), 1) for _ in range(2))
        sign = 1 if side == "BUY" else -1
        order = {"symbol": symbol, "trade_type": side, "quantity": self._chance.randint(1, 3)}
        kind = self._chance.choice(("bracket", "trailing", "LIMIT", "STOP"))
        if kind == "bracket":
            levels = {"stop_loss": price - sign * near, "target_price": price + sign * far}
            return order | {name: round(level, 1) for name, level in levels.items()}
        if kind == "trailing":
            return order | {"trailing_offset": near}
        away = -sign if kind == "LIMIT" else sign
        name = "limit_price" if kind == "LIMIT" else "stop_price"
        return order | {"order_type": kind, name: round(price + away * near, 1)}


def is_open(trade: dict[str, Any]) -> bool:
    return trade["status"] in ("ACTIVE", "PENDING")


def without_own(value: Any) -> Any:
    """Return a response without ids, times and sources."""
    if isinstance(value, dict):
        return {
            name: without_own(each)
            for name, each in value.items()
            if not any(name == own or name.endswith(f"_{own}") for own in OWN)
        }
    return [without_own(each) for each in value] if isinstance(value, list) else value


def books_of(trader: Trader) -> dict[str, Any]:
    """Return the portfolio under its name, and each trade under its number."""
    trades = enumerate(reversed(trader.trades("?limit=500")))
    return {"portfolio": without_own(trader.portfolio())} | {
        str(number): without_own(trade) for number, trade in trades
    }


@pytest.mark.parametrize("market", ["simulated", "replay"])
def test_a_replay_of_a_recording_gives_the_same_books(
    market: str, start: Start, tmp_path: Path
) -> None:
    source: dict[str, object] = {"MARKET_SEED": "18"}
    if market == "replay":
        source["REPLAY_FILE"] = write_swinging_market(
            tmp_path / "source.csv", seconds=60, seed=18
        ).path
    clock = ManualClock()
    app = start(clock, MARKET_DATA=market, **source)
    recorder = Recorder(tmp_path / "recordings" / "market.csv.gz", clock)
    first = Play(market, app, clock, recorder)
    first.run()
    recorder.flush()
    recorder.close()
    recorded = books_of(first.trader)
    assert_ended(recorded)

    clock = ManualClock()
    app = start(clock, MARKET_DATA="replay", REPLAY_FILE=tmp_path / "recordings")
    second = Play(market, app, clock)
    second.run()

    with app.app_context():
        assert_invariants(second.trader.client_id)
        assert services().feed.name == "replay"
    replayed = books_of(second.trader)
    assert replayed.keys() == recorded.keys()
    assert [
        (replayed[name], book) for name, book in recorded.items() if replayed[name] != book
    ] == []


def assert_ended(books: dict[str, Any]) -> None:
    """Assert that the market has ended trades in many ways."""
    statuses = {book["status"] for name, book in books.items() if name != "portfolio"}
    ways = {"STOP_LOSS_HIT", "TRAILING_STOP_HIT"}
    assert ways <= statuses, statuses
