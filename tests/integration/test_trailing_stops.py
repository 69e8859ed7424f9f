"""Trailing stops: the monitor finds what each tick fires, and writes nothing while they follow."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain.side import TradeType
from app.models import Trail
from app.monitor import Monitor
from tests.support.database_state import assert_invariants
from tests.support.faults import recording_commands
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection
from tests.support.users import Trader, sign_up

WRITES = ("insert", "update", "delete", "findAndModify", "bulkWrite")


@pytest.fixture
def tick(monitor: Monitor, feed: ScriptedFeed, clock: ManualClock) -> Callable[..., None]:
    """Make a pass over ticks of NIFTY at these prices."""

    def make(*prices: Decimal | float | str) -> None:
        for price in prices:
            clock.advance(1)
            feed.tick("^NSEI", Decimal(str(price)))
        monitor.run_once()

    return make


def test_a_stop_follows_the_best_price_and_closes_at_the_tick_that_reaches_it(
    alice: Trader, tick: Callable[..., None]
) -> None:
    alice.create_trade(quantity=2, trailing_offset=100)
    tick(25_040, 25_120)
    tick(25_060)
    assert alice.trades()[0]["status"] == "ACTIVE"
    tick(25_015)

    (trade,) = alice.trades()
    assert trade["status"] == "TRAILING_STOP_HIT"
    assert trade["exit_reason"] == "trailing_stop"
    assert (trade["exit_price"], trade["pnl"]) == (25_015.0, 30.0)
    shown = alice.get(f"/trades/{alice.client_id}/{trade['trade_id']}").get_json()
    assert shown["fills"][-1]["rule"] == "stop"
    assert shown["fills"][-1]["best"]["price"] == 25_120.0
    event = alice.notifications()[0]
    assert event["type"] == "trade_auto_closed"
    assert event["data"]["reason"] == "trailing_stop"
    assert event["data"]["best_price"]["price"] == 25_120.0
    assert event["message"].startswith("Trailing stop hit: your BUY of 2 ^NSEI")
    assert_invariants(alice.client_id)


def test_a_stop_of_a_sell_follows_the_lowest_price_in_percent(
    alice: Trader, tick: Callable[..., None]
) -> None:
    alice.create_trade(trade_type="SELL", trailing_pct=1)
    tick(24_500, 24_744)
    assert alice.trades()[0]["status"] == "ACTIVE"
    tick(24_745)

    assert alice.trades()[0]["status"] == "TRAILING_STOP_HIT"


def test_the_tighter_stop_counts(alice: Trader, tick: Callable[..., None]) -> None:
    alice.create_trade(stop_loss=24_950, trailing_offset=100)
    tick(25_040, 24_950)
    alice.create_trade(stop_loss=24_800, trailing_offset=100)
    tick(25_000, 24_900)

    newer, older = alice.trades()
    assert (older["status"], newer["status"]) == ("STOP_LOSS_HIT", "TRAILING_STOP_HIT")


def test_a_target_ends_a_trade_whose_stop_follows(alice: Trader, tick: Callable[..., None]) -> None:
    alice.create_trade(target_price=25_100, trailing_offset=50)
    tick(25_090, 25_105, 25_020)

    (trade,) = alice.trades()
    assert (trade["status"], trade["exit_price"]) == ("TARGET_HIT", 25_100.0)


def test_a_move_in_one_batch_of_ticks_is_followed_tick_by_tick(
    alice: Trader, tick: Callable[..., None]
) -> None:
    alice.create_trade(trailing_offset=100)
    tick(25_050, 24_951, 25_200, 25_099, 25_300)

    assert alice.trades()[0]["exit_price"] == 25_099.0


def change(trader: Trader, trade: dict[str, Any], **terms: Any) -> dict[str, Any]:
    path = f"/trades/{trader.client_id}/{trade['trade_id']}"
    response = trader.client.patch(path, headers=trader.headers, json=terms)
    assert response.status_code == 200, response.text
    changed: dict[str, Any] = response.get_json()
    return changed


def test_a_stop_that_is_set_later_follows_prices_from_then_on(
    alice: Trader, tick: Callable[..., None]
) -> None:
    trade = alice.create_trade().get_json()
    tick(25_500, 25_400)
    changed = change(alice, trade, trailing_offset=50)
    assert (changed["trailing_offset"], changed["status"]) == (50.0, "ACTIVE")
    tick(25_351, 25_420)
    assert alice.trades()[0]["status"] == "ACTIVE"
    tick(25_370)

    assert alice.trades()[0]["status"] == "TRAILING_STOP_HIT"
    assert_invariants(alice.client_id)


def test_a_distance_is_changed_and_the_step_stays(alice: Trader, tick: Callable[..., None]) -> None:
    trade = alice.create_trade(trailing_offset=50, trailing_step=10).get_json()
    tick(25_100)
    changed = change(alice, trade, trailing_pct=1)
    assert (changed["trailing_offset"], changed["trailing_pct"]) == (None, 1.0)
    assert changed["trailing_step"] == 10.0
    tick(24_900)
    assert alice.trades()[0]["status"] == "ACTIVE"
    tick(24_849)

    assert alice.trades()[0]["status"] == "TRAILING_STOP_HIT"


def test_a_stop_that_is_removed_fires_no_more(alice: Trader, tick: Callable[..., None]) -> None:
    trade = alice.create_trade(trailing_offset=50).get_json()
    tick(25_100)
    changed = change(alice, trade, trailing_offset=None)
    assert [changed[name] for name in ("trailing_offset", "trailing_step")] == [None, None]
    tick(24_000)

    assert alice.trades()[0]["status"] == "ACTIVE"


def test_a_change_of_the_target_leaves_the_best_price(
    alice: Trader, tick: Callable[..., None]
) -> None:
    trade = alice.create_trade(trailing_offset=100).get_json()
    tick(25_500)
    tick(25_450)
    change(alice, trade, target_price=26_000)
    tick(25_400)

    assert alice.trades()[0]["status"] == "TRAILING_STOP_HIT"


def test_the_stop_of_an_order_that_waited_follows_from_its_fill(
    alice: Trader, tick: Callable[..., None], clock: ManualClock
) -> None:
    order = {"order_type": "LIMIT", "limit_price": 24_900, "trailing_offset": 100}
    trade = alice.create_trade(**order).get_json()
    change(alice, trade, trailing_offset=80)
    tick(25_300)
    clock.advance(1_000)
    tick(24_890, 24_990)
    tick(24_920)
    assert alice.trades()[0]["status"] == "ACTIVE"
    tick(24_910)

    (trade,) = alice.trades()
    assert (trade["status"], trade["entry_price"]) == ("TRAILING_STOP_HIT", 24_900.0)
    assert_invariants(alice.client_id)


def test_a_step_needs_a_distance(alice: Trader) -> None:
    trade = alice.create_trade().get_json()
    path = f"/trades/{alice.client_id}/{trade['trade_id']}"
    response = alice.client.patch(path, headers=alice.headers, json={"trailing_step": 5})

    assert response.status_code == 400
    assert "trailing_step" in response.get_json()["details"]


def test_no_trade_is_written_while_stops_follow(
    alice: Trader, tick: Callable[..., None], clock: ManualClock
) -> None:
    for offset in (100, 200, 300):
        alice.create_trade(trailing_offset=offset)
        alice.create_trade(trade_type="SELL", trailing_offset=offset + 2_000)
    tick(25_010)

    with recording_commands() as commands:
        for price in range(25_020, 25_400, 10):
            tick(price, price - 15)
    written = [each for each in commands for name in WRITES if each.get(name) == "trades"]
    assert written == []
    tick(25_270)
    assert [trade["status"] for trade in alice.trades()].count("TRAILING_STOP_HIT") == 1


def test_a_tick_that_fires_nothing_reads_no_trailing_stop(
    alice: Trader, tick: Callable[..., None], clock: ManualClock
) -> None:
    """Once the stops that have just begun are certainly known."""
    for _ in range(3):
        alice.create_trade(trailing_offset=100)
    tick(25_010)
    clock.advance(120)
    tick(25_020)

    with recording_commands() as commands:
        tick(25_030)
        tick(25_000)
    finds = [each["filter"] for each in commands if each.get("find") == "trades"]
    assert [each for each in finds if "trail" in each or "trail_unit" in each] == []


def test_another_process_continues_from_the_stored_best_prices(
    app: Flask, alice: Trader, tick: Callable[..., None], feed: ScriptedFeed, clock: ManualClock
) -> None:
    alice.create_trade(trailing_offset=100)
    tick(25_500, 25_450)
    clock.advance(1)
    feed.tick("^NSEI", 25_400)
    Monitor(app).run_once()

    (trade,) = alice.trades()
    assert (trade["status"], trade["exit_price"]) == ("TRAILING_STOP_HIT", 25_400.0)


def test_a_gap_is_settled_from_the_best_price_before_it(
    app: Flask, alice: Trader, tick: Callable[..., None], feed: ScriptedFeed, clock: ManualClock
) -> None:
    alice.create_trade(trailing_offset=100)
    tick(25_500, 25_450)
    since = clock.now()
    clock.advance(600)
    feed.record("^NSEI", since + timedelta(minutes=1), 25_450, 25_440, 25_600, 25_550)
    feed.record("^NSEI", since + timedelta(minutes=2), 25_540, 25_450, 25_520)

    assert Monitor(app).settle_gap() == 1
    (trade,) = alice.trades()
    assert (trade["status"], trade["exit_price"]) == ("TRAILING_STOP_HIT", 25_500.0)
    assert trade["settled_from"] == "gap"


def test_best_prices_ahead_of_the_progress_do_no_harm(
    app: Flask, alice: Trader, tick: Callable[..., None], feed: ScriptedFeed, clock: ManualClock
) -> None:
    """A process was killed between storing the best prices and its progress."""
    alice.create_trade(trailing_offset=100)
    tick(25_050)
    progress = collection("market").find_one({"_id": "scripted"})
    start = clock.now()
    clock.advance(60)
    for price in (25_000, 25_080):
        tick(price)
        feed.record("^NSEI", clock.now(), price)
    assert progress is not None
    collection("market").replace_one({"_id": "scripted"}, progress)
    assert clock.now() > start

    assert Monitor(app).settle_gap() == 0
    assert alice.trades()[0]["status"] == "ACTIVE"


def test_a_symbol_without_trailing_stops_is_forgotten(
    alice: Trader, tick: Callable[..., None], clock: ManualClock
) -> None:
    alice.create_trade(trailing_offset=100)
    tick(24_900)
    assert alice.trades()[0]["status"] == "TRAILING_STOP_HIT"
    clock.advance(120)
    tick(24_900)
    tick(24_900)

    assert Trail.find_all() == []


@dataclass
class Model:
    """What a trade with a trailing stop must do, tick by tick."""

    side: TradeType
    entry: Decimal
    offset: Decimal | None
    percent: Decimal | None
    step: Decimal
    best: Decimal
    exit: Decimal | None = None

    @property
    def level(self) -> Decimal:
        sign = self.side.sign
        followed = self.entry + (abs(self.best - self.entry) // self.step * self.step) * sign
        percent = self.percent or Decimal(0)
        distance = followed * percent / 100 if self.offset is None else self.offset
        signed = followed * sign - distance
        return (signed * 100).to_integral_value(ROUND_FLOOR) / 100 * sign

    def tick(self, price: Decimal) -> None:
        sign = self.side.sign
        if self.exit is not None:
            return
        if (price - self.level) * sign <= 0:
            self.exit = price
        self.best = max(self.best, price) if sign > 0 else min(self.best, price)


@pytest.mark.parametrize("seed", range(6))
def test_random_trades_close_as_a_plain_model_says_whenever_processes_change(
    app: Flask,
    client: FlaskClient,
    feed: ScriptedFeed,
    clock: ManualClock,
    seed: int,
) -> None:
    chance = random.Random(seed)
    alice = sign_up(client)
    alice.open_portfolio(10_000_000)
    price, models = Decimal(25_000), []
    monitor = Monitor(app)
    for number in range(60):
        for _ in range(chance.randint(0, 2)):
            models.append(_open(alice, price, chance))
        clock.advance(chance.choice((0, 5, 100)))
        for _ in range(chance.randint(1, 3)):
            price += Decimal(chance.randint(-600, 600)) / 20
            clock.advance(0.5)
            feed.tick("^NSEI", price)
            for model in models:
                model.tick(price)
        monitor.run_once()
        if number % 5 == 0:
            _assert_levels(alice, models)
        if chance.random() < 0.1:
            monitor = Monitor(app)
        if models and chance.random() < 0.3:
            _change(alice, price, chance, models)
    trades = alice.trades("?limit=200")[::-1]
    assert [trade["exit_price"] for trade in trades] == [
        None if model.exit is None else float(model.exit) for model in models
    ]
    assert any(model.exit for model in models)
    assert_invariants(alice.client_id)


def _assert_levels(trader: Trader, models: list[Model]) -> None:
    """Check that each open trade shows the level and the best price of its model."""
    for trade, model in zip(trader.trades("?limit=200")[::-1], models, strict=True):
        shown = trade["trailing_stop"], trade["best_price"] and trade["best_price"]["price"]
        expected = (float(model.level), float(model.best)) if model.exit is None else (None, None)
        assert shown == expected


def _change(trader: Trader, price: Decimal, chance: random.Random, models: list[Model]) -> None:
    """Set another distance of a trade that is still open."""
    trade = chance.choice(trader.trades("?limit=200"))
    if trade["status"] == "ACTIVE":
        offset = Decimal(chance.randint(200, 3_000)) / 20
        change(trader, trade, trailing_offset=float(offset))
        ids = [each["trade_id"] for each in trader.trades("?limit=200")[::-1]]
        model = models[ids.index(trade["trade_id"])]
        model.entry = model.best = price
        model.offset, model.percent = offset, None


def _open(trader: Trader, price: Decimal, chance: random.Random) -> Model:
    side = chance.choice(list(TradeType))
    by_percent = chance.random() < 0.5
    distance = (
        Decimal(chance.randint(4, 60)) / 100
        if by_percent
        else Decimal(chance.randint(200, 3_000)) / 20
    )
    step = Decimal(chance.choice((1, 500, 2_000))) / 100
    order: dict[str, Any] = {"trade_type": side.value, "trailing_step": float(step)}
    order["trailing_pct" if by_percent else "trailing_offset"] = float(distance)
    response = trader.create_trade(**order)
    assert response.status_code == 201, response.text
    offset, percent = (None, distance) if by_percent else (distance, None)
    return Model(side, price, offset, percent, step, price)
