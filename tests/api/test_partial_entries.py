"""Entries of the harsh profile that the price touches: a part is filled, the rest waits on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from bson import ObjectId
from flask import Flask
from flask.testing import FlaskClient

from app.cli import verify
from app.domain.candle import Candle
from app.domain.entry import Entered, EntryOrder
from app.domain.fill_profile import FillModel
from app.models import Trade, TradeChange
from app.monitor import Monitor
from app.portfolio.reconciliation import find_differences
from app.services import services
from app.trades.execution import apply_transitions
from app.trades.triggers import find_triggered
from tests.support.concurrency import run_concurrently
from tests.support.database_state import assert_invariants, documents
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import TRADE, assert_shape
from tests.support.users import Trader, sign_up

SHARE, LIMIT = "RELIANCE.NS", 1_390
Touch = Callable[..., None]


@pytest.fixture
def harsh(client: FlaskClient) -> Trader:
    """A user whose portfolio is filled harshly, with the same chance in each run.

    The seeds of orders follow from the name of their user.
    """
    trader = sign_up(client, client_id="harsh1")
    opened = trader.post("/portfolio/create", {"fill_profile": "harsh"})
    assert opened.status_code == 201, opened.text
    return trader


@pytest.fixture
def touch(feed: ScriptedFeed, clock: ManualClock, monitor: Monitor) -> Touch:
    """Let RELIANCE have these prices in one pass, by default the limit."""

    def touch(*prices: float, seconds: float = 0) -> None:
        clock.advance(seconds)
        for price in prices or (LIMIT,):
            feed.tick(SHARE, str(price))
        monitor.run_once()

    return touch


def place(trader: Trader, quantity: int = 100, **fields: Any) -> dict[str, Any]:
    answer = trader.create_trade(
        symbol=SHARE, quantity=quantity, order_type="LIMIT", limit_price=LIMIT, **fields
    )
    placed: dict[str, Any] = answer.get_json()
    assert (answer.status_code, placed["status"]) == (201, "PENDING"), placed
    return placed


def show(trader: Trader, trade_id: str) -> dict[str, Any]:
    found: dict[str, Any] = trader.get(f"/trades/{trader.client_id}/{trade_id}").get_json()
    return found


def model_of(app: Flask, trade_id: str) -> FillModel:
    (document,) = documents("trades", _id=ObjectId(trade_id))
    with app.app_context():
        model = Trade.from_document(document).model
    assert model is not None
    return model


def seconds_to_part(model: FillModel, now: datetime, quantity: int) -> int:
    """Return in how many seconds a minute begins in which a touch fills a part."""
    for minutes in range(1, 1_000):
        time = now + timedelta(minutes=minutes)
        if (
            model.fills_touched("entry", time)
            and model.part_touched("entry", time, quantity) < quantity
        ):
            return 60 * minutes
    raise AssertionError("half of the minutes fill, and three quarters of them a part")


def assert_books(app: Flask, *traders: Trader) -> None:
    for trader in traders:
        assert_invariants(trader.client_id)
        with app.app_context():
            assert find_differences(trader.client_id) == []
            for document in documents("trades", user_id=trader.client_id):
                steps = verify._derive(Trade.from_document(document))
                assert [step for step in steps if not step.agrees] == []
        for trade in trader.trades():
            assert_shape(trade, TRADE)


def split(
    app: Flask, trader: Trader, clock: ManualClock, touch: Touch, **fields: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Place an order, and fill a part of it; return the trades of the part and of the rest."""
    placed = place(trader, **fields)
    seconds = seconds_to_part(
        model_of(app, placed["trade_id"]), clock.now(), placed["ordered_quantity"]
    )
    touch(seconds=seconds)
    part = show(trader, placed["trade_id"])
    assert part["rest_trade_id"] is not None
    return part, show(trader, part["rest_trade_id"])


def test_a_touch_fills_a_part_and_the_rest_waits_as_a_trade_of_its_own(
    harsh: Trader, app: Flask, clock: ManualClock, touch: Touch
) -> None:
    part, rest = split(app, harsh, clock, touch, stop_loss=1_300, client_order_id="own")

    assert (part["status"], rest["status"]) == ("ACTIVE", "PENDING")
    assert part["quantity"] + rest["quantity"] == part["ordered_quantity"] == 100
    assert (part["open_quantity"], rest["open_quantity"]) == (part["quantity"], 0)
    assert (part["split_from"], rest["split_from"]) == (None, part["trade_id"])
    assert (part["entry_price"], part["fills"][0]["rule"]) == (LIMIT, "limit")
    same = ("symbol", "trade_type", "order_type", "limit_price", "stop_loss", "expires_at")
    assert [rest[name] for name in same] == [part[name] for name in same]
    assert (part["client_order_id"], rest["client_order_id"]) == ("own", None)
    assert part["margin_used"] + rest["margin_used"] == 100 * LIMIT * 0.2
    placed, filled = reversed(harsh.notifications()[:2])
    assert (filled["type"], placed["type"]) == ("trade_created", "trade_filled")
    assert placed["data"]["rest_trade_id"] == filled["data"]["trade_id"] == rest["trade_id"]
    assert (placed["data"]["quantity"], placed["data"]["ordered_quantity"]) == (
        part["quantity"],
        100,
    )
    assert filled["data"]["split_from"] == part["trade_id"]
    assert_books(app, harsh)


def test_touches_fill_an_order_part_by_part_one_a_minute(
    harsh: Trader, app: Flask, clock: ManualClock, touch: Touch
) -> None:
    split(app, harsh, clock, touch)

    for _ in range(200):
        touch(seconds=60)
        touch(LIMIT, LIMIT, seconds=1)
        if not any(trade["status"] == "PENDING" for trade in harsh.trades()):
            break

    trades = harsh.trades()
    assert {trade["status"] for trade in trades} == {"ACTIVE"}
    assert sum(trade["quantity"] for trade in trades) == 100
    minutes = [trade["filled_at"][:16] for trade in trades]
    assert len(set(minutes)) == len(minutes)
    assert_books(app, harsh)


def test_a_later_price_of_the_same_pass_fills_the_rest(
    harsh: Trader, app: Flask, clock: ManualClock, touch: Touch
) -> None:
    placed = place(harsh, target_price=1_450)
    clock.advance(seconds_to_part(model_of(app, placed["trade_id"]), clock.now(), 100))

    touch(LIMIT, LIMIT - 1)

    part = show(harsh, placed["trade_id"])
    rest = show(harsh, part["rest_trade_id"])
    assert (part["status"], rest["status"]) == ("ACTIVE", "ACTIVE")
    assert part["quantity"] + rest["quantity"] == 100
    assert rest["entry_price"] == LIMIT
    assert_books(app, harsh)


def test_a_retry_is_answered_with_the_order_as_it_was_placed(
    harsh: Trader, app: Flask, clock: ManualClock, touch: Touch
) -> None:
    own = {"symbol": SHARE, "order_type": "LIMIT", "limit_price": LIMIT, "client_order_id": "own"}
    first = harsh.create_trade(quantity=100, **own).get_json()
    touch(seconds=seconds_to_part(model_of(app, first["trade_id"]), clock.now(), 100))

    again = harsh.create_trade(quantity=100, **own)

    assert show(harsh, first["trade_id"])["quantity"] < 100
    assert again.get_json() == first
    assert len(harsh.trades()) == 2


def test_the_first_part_cancels_the_other_order_of_the_pair_and_leaves_the_rest_alone(
    harsh: Trader, app: Flask, clock: ManualClock, touch: Touch
) -> None:
    low = {"symbol": SHARE, "trade_type": "BUY", "quantity": 100}
    high = {**low, "order_type": "STOP", "stop_price": 1_450}
    low |= {"order_type": "LIMIT", "limit_price": LIMIT}
    pair = harsh.post("/trades/oco", {"orders": [low, high]}).get_json()["trades"]
    touch(seconds=seconds_to_part(model_of(app, pair[0]["trade_id"]), clock.now(), 100))

    part, other = (show(harsh, trade["trade_id"]) for trade in pair)
    rest = show(harsh, part["rest_trade_id"])
    assert (part["status"], other["end_reason"]) == ("ACTIVE", "oco")
    assert (rest["status"], rest["oco_id"]) == ("PENDING", None)
    assert_books(app, harsh)

    touch(LIMIT - 1, seconds=60)
    assert show(harsh, rest["trade_id"])["status"] == "ACTIVE"
    assert_books(app, harsh)


@pytest.mark.parametrize("quantity", [7, 33, 101])
def test_an_order_that_blocks_all_margin_is_filled_to_its_end(
    harsh: Trader, app: Flask, clock: ManualClock, touch: Touch, quantity: int
) -> None:
    part, rest = split(app, harsh, clock, touch, quantity=quantity)
    available = harsh.portfolio()["available_margin"]
    harsh.post(f"/portfolio/{harsh.client_id}/withdraw", {"amount": available})
    assert harsh.portfolio()["available_margin"] == 0.0

    touch(LIMIT - 1, seconds=60)

    filled = show(harsh, rest["trade_id"])
    assert (filled["status"], filled["quantity"]) == ("ACTIVE", quantity - part["quantity"])
    assert_books(app, harsh)


def test_several_orders_of_a_portfolio_are_split_in_one_pass(
    harsh: Trader, app: Flask, clock: ManualClock, touch: Touch
) -> None:
    for _ in range(12):
        place(harsh, quantity=20)

    touch(seconds=60)
    trades = harsh.trades()
    splits = [trade for trade in trades if trade["rest_trade_id"]]
    assert len(splits) > 1
    assert len(trades) == 12 + len(splits)
    numbers = sorted(each["number"] for each in documents("trades"))
    assert numbers == list(range(1, len(trades) + 1))
    assert_books(app, harsh)

    touch(LIMIT - 1, seconds=60)
    assert {trade["status"] for trade in harsh.trades()} == {"ACTIVE"}
    assert_books(app, harsh)


def test_the_rest_is_changed_and_cancelled_as_any_order(
    harsh: Trader, app: Flask, clock: ManualClock, touch: Touch
) -> None:
    part, rest = split(app, harsh, clock, touch)
    path = f"/trades/{harsh.client_id}/{rest['trade_id']}"

    changed = harsh.patch(path, {"limit_price": 1_380, "quantity": 5}).get_json()
    assert (changed["limit_price"], changed["quantity"]) == (1_380.0, 5)
    assert changed["ordered_quantity"] == 5
    assert_books(app, harsh)

    assert harsh.post(f"/trades/cancel/{rest['trade_id']}").status_code == 200
    assert harsh.portfolio()["utilized_margin"] == part["margin_used"]
    exited = harsh.post(f"/trades/exit/{part['trade_id']}")
    assert exited.status_code == 200
    assert harsh.portfolio()["utilized_margin"] == 0.0
    assert_books(app, harsh)


def test_two_processes_that_read_one_tick_split_an_order_once(
    harsh: Trader, app: Flask, clock: ManualClock, feed: ScriptedFeed
) -> None:
    placed = place(harsh)
    clock.advance(seconds_to_part(model_of(app, placed["trade_id"]), clock.now(), 100))
    with app.app_context():
        ticks = services().quotes.update([feed.set(SHARE, LIMIT)])
        # Each has read the order before any of them writes.
        found = [find_triggered(ticks) for _ in range(4)]

    def write(changes: list[TradeChange]) -> None:
        with app.app_context():
            list(apply_transitions(changes))

    run_concurrently([partial(write, changes) for changes in found])

    assert sorted(trade["status"] for trade in harsh.trades()) == ["ACTIVE", "PENDING"]
    assert_books(app, harsh)


def test_the_candles_of_a_downtime_fill_the_parts_that_the_ticks_would(
    harsh: Trader, app: Flask, clock: ManualClock, feed: ScriptedFeed, monitor: Monitor
) -> None:
    placed = place(harsh)
    clock.advance(1)
    monitor.run_once()
    since = clock.now()
    clock.advance(3_600)
    prices = [(LIMIT, LIMIT + 5)] * 7 + [(LIMIT, LIMIT - 1, LIMIT)]
    candles = [
        feed.record(SHARE, since + timedelta(minutes=number), *path)
        for number, path in enumerate(prices, 1)
    ]
    with app.app_context():
        order = Trade.from_document(documents("trades")[0]).order
    expected = fills_of(order, candles)

    monitor.settle_gap()

    trades = sorted(harsh.trades(), key=lambda trade: str(trade["filled_at"] or ""))
    shown = [show(harsh, trade["trade_id"]) for trade in trades]
    assert len(expected) > 1
    assert sorted(
        (each["entry_quote"]["timestamp"][:16], each["quantity"]) for each in shown
    ) == sorted(
        (f"{entered.quote.timestamp:%Y-%m-%dT%H:%M}", entered.bracket.quantity)
        for entered in expected
    )
    assert show(harsh, placed["trade_id"])["ordered_quantity"] == 100
    assert_books(app, harsh)


def fills_of(order: EntryOrder | None, candles: Sequence[Candle]) -> list[Entered]:
    """Return the fills of an order and its rests, by the rules alone."""
    filled: list[Entered] = []
    for candle in candles:
        while order and isinstance(entered := order.filled_in(candle), Entered):
            filled.append(entered)
            order = entered.rest
    return filled
