"""Pairs of entries: the first to fill cancels the other, in the same transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.domain.fill_profile import FillModel, FillProfile, trade_seed
from app.events import events_committed
from app.models import Notification
from app.monitor import Monitor
from app.services import services
from app.trades.execution import apply_transitions
from app.trades.triggers import find_triggered
from tests.support.concurrency import run_concurrently
from tests.support.database_state import all_documents, assert_invariants
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import TRADE, assert_error, assert_shape
from tests.support.retries import assert_same, send, send_concurrently
from tests.support.users import Trader, sign_up

EMAIL = "bot@example.com"
# NIFTY is at 25,000.
LOW = {
    "symbol": "NIFTY",
    "trade_type": "BUY",
    "quantity": 2,
    "order_type": "LIMIT",
    "limit_price": 24_900,
}
HIGH = {
    "symbol": "^NSEI",
    "trade_type": "BUY",
    "quantity": 1,
    "order_type": "STOP",
    "stop_price": 25_100,
}


def without(order: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in order.items() if key != name}


def place(trader: Trader, first: Any = LOW, second: Any = HIGH, key: str | None = None) -> Any:
    response: TestResponse = send(trader, "/trades/oco", key, {"orders": [first, second]})
    return response


@pytest.fixture
def tick(clock: ManualClock, feed: ScriptedFeed, monitor: Monitor) -> Callable[..., None]:
    """Let NIFTY have these prices, and the monitor make a pass."""

    def tick(*prices: int) -> None:
        clock.advance(10)
        for price in prices:
            feed.tick("^NSEI", price)
        monitor.run_once()

    return tick


def statuses(trader: Trader) -> list[str]:
    """Return the status of each trade, oldest first."""
    return [trade["status"] for trade in reversed(trader.trades())]


def test_both_orders_wait_and_block_their_margin(alice: Trader) -> None:
    answer = place(alice)

    assert answer.status_code == 201, answer.text
    low, high = answer.get_json()["trades"]
    assert_shape(low, TRADE)
    assert (low["status"], high["status"]) == ("PENDING", "PENDING")
    assert (low["oco_id"], high["oco_id"]) == (high["trade_id"], low["trade_id"])
    assert alice.portfolio()["utilized_margin"] == 9_960.0 + 5_020.0
    created = [event["data"]["oco_id"] for event in alice.notifications()]
    assert created == [low["trade_id"], high["trade_id"]]
    assert_invariants(alice.client_id)


@pytest.mark.parametrize(
    ("price", "expected", "margin"),
    [(24_850, ["ACTIVE", "CANCELLED"], 9_960.0), (25_150, ["CANCELLED", "ACTIVE"], 5_030.0)],
)
def test_the_first_to_fill_cancels_the_other(
    alice: Trader, tick: Callable[..., None], price: int, expected: list[str], margin: float
) -> None:
    place(alice)

    tick(price)

    assert statuses(alice) == expected
    assert alice.portfolio()["utilized_margin"] == margin
    cancelled = next(trade for trade in alice.trades() if trade["status"] == "CANCELLED")
    assert cancelled["end_reason"] == "oco"
    event = next(each for each in alice.notifications() if each["type"] == "trade_cancelled")
    assert event["data"]["trade_id"] == cancelled["trade_id"]
    assert event["message"].endswith(
        "was cancelled, because the other order of its pair was filled."
    )
    assert_invariants(alice.client_id)


def test_of_two_that_one_pass_reaches_the_first_counts(
    alice: Trader, tick: Callable[..., None]
) -> None:
    place(alice)

    tick(25_150, 24_850, 25_200)

    assert statuses(alice) == ["CANCELLED", "ACTIVE"]
    tick(24_800, 25_300)
    assert statuses(alice) == ["CANCELLED", "ACTIVE"]
    assert_invariants(alice.client_id)


def test_a_stop_limit_that_is_only_triggered_waits_and_is_cancelled_by_the_other(
    alice: Trader, tick: Callable[..., None]
) -> None:
    stop_limit = HIGH | {"order_type": "STOP_LIMIT", "limit_price": 25_120}
    place(alice, LOW, stop_limit)

    tick(25_500)
    assert statuses(alice) == ["PENDING", "PENDING"]
    tick(24_850)
    assert statuses(alice) == ["ACTIVE", "CANCELLED"]

    place(alice, HIGH | {"stop_price": 25_300}, {**LOW, "limit_price": 24_800})
    place(alice, LOW | {"limit_price": 24_700}, stop_limit)
    # Triggered and cancelled in one pass.
    tick(25_500, 24_700)
    assert sorted(statuses(alice)[2:]) == ["ACTIVE", "ACTIVE", "CANCELLED", "CANCELLED"]
    assert_invariants(alice.client_id)


@pytest.mark.parametrize("batch_size", [1, 100])
def test_a_trigger_is_recorded_before_a_fill_by_the_same_tick_cancels_it(
    app: Flask, alice: Trader, tick: Callable[..., None], batch_size: int
) -> None:
    app.config["WRITE_BATCH_SIZE"] = batch_size
    place(alice, HIGH | {"order_type": "STOP_LIMIT", "limit_price": 25_120}, HIGH)

    tick(25_500)

    types = [event["type"] for event in reversed(alice.notifications())]
    assert types[2:] == ["trade_triggered", "trade_cancelled", "trade_filled"]
    assert statuses(alice) == ["CANCELLED", "ACTIVE"]
    assert alice.trades()[1]["triggered_at"] is not None
    assert_invariants(alice.client_id)


def test_the_margin_of_the_other_is_available_to_the_fill(
    alice: Trader, tick: Callable[..., None]
) -> None:
    assert place(alice, LOW | {"quantity": 9}, HIGH | {"quantity": 10}).status_code == 201
    # The gap makes the stop need 5,800 more.
    assert alice.portfolio()["available_margin"] == 4_980.0

    tick(28_000)

    assert statuses(alice) == ["CANCELLED", "ACTIVE"]
    assert alice.portfolio()["utilized_margin"] == 56_000.0
    assert_invariants(alice.client_id)


@pytest.mark.parametrize("large", [0, 1])
def test_a_fill_that_is_rejected_cancels_the_other(
    app: Flask, alice: Trader, tick: Callable[..., None], large: int
) -> None:
    stop, limit = {**HIGH, "quantity": 18}, {**LOW, "quantity": 1}
    one, two = (stop, limit) if large == 0 else (limit, stop)
    first = place(alice, one, two, "k")
    assert first.status_code == 201

    # Both are reached in one pass, the rejected one first.
    tick(28_000, 24_850)

    rejected, other = statuses(alice) if large == 0 else reversed(statuses(alice))
    assert (rejected, other) == ("REJECTED", "CANCELLED")
    assert {trade["end_reason"] for trade in alice.trades()} == {
        "insufficient_margin",
        "oco_rejected",
    }
    assert alice.portfolio()["utilized_margin"] == 0.0
    event = next(each for each in alice.notifications() if each["type"] == "trade_cancelled")
    assert event["data"]["reason"] == "oco_rejected"
    assert event["message"].endswith(
        "was cancelled, because the other order of its pair was rejected."
    )
    assert_same(place(alice, one, two, "k"), first)
    for trade in alice.trades():
        verified = app.test_cli_runner().invoke(args=["verify", trade["trade_id"]])
        assert verified.exit_code == 0, verified.output
    assert_invariants(alice.client_id)


def seed_that_rejects(number: int) -> str:
    """Return a seed of the server by which, of the first two trades, this one is rejected."""
    for seed in map(str, range(10_000)):
        models = [
            FillModel(
                FillProfile.HARSH,
                trade_seed(seed, EMAIL, "default", each),
                *(Decimal("0.05"), 1, Decimal(2)),
            )
            for each in (1, 2)
        ]
        if [model.rejection() is not None for model in models] == [number == 1, number == 2]:
            return seed
    raise AssertionError("two of a hundred are rejected")


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(("key", "ids"), [("k", {}), (None, {"client_order_id": "c"})])
def test_an_order_that_is_rejected_on_arrival_ends_the_other(
    make_app: Callable[..., Flask], number: int, key: str | None, ids: dict[str, str]
) -> None:
    app = make_app(FILL_PROFILE="harsh", FILL_SEED=seed_that_rejects(number))
    bot = sign_up(app.test_client(), email=EMAIL)
    bot.open_portfolio()

    answer = place(bot, LOW | ids, HIGH, key)

    assert answer.status_code == 201
    placed = answer.get_json()["trades"]
    rejected, other = placed if number == 1 else reversed(placed)
    assert (rejected["status"], other["status"]) == ("REJECTED", "CANCELLED")
    assert (rejected["oco_id"], other["oco_id"]) == (other["trade_id"], rejected["trade_id"])
    assert rejected["end_reason"].startswith("broker_")
    assert other["end_reason"] == "oco_rejected"
    assert other["closed_at"] is not None
    assert bot.portfolio()["utilized_margin"] == other["margin_used"] == 0.0
    assert_same(place(bot, LOW | ids, HIGH, key), answer)
    types = Counter(event["type"] for event in bot.notifications())
    assert types == {"trade_rejected": 1, "trade_cancelled": 1}
    for trade in placed:
        verified = app.test_cli_runner().invoke(args=["verify", trade["trade_id"]])
        assert verified.exit_code == 0, verified.output
    assert_invariants(EMAIL)


def test_cancelling_one_leaves_the_other(alice: Trader, tick: Callable[..., None]) -> None:
    low, _ = place(alice).get_json()["trades"]

    assert alice.post(f"/trades/cancel/{low['trade_id']}").status_code == 200
    assert statuses(alice) == ["CANCELLED", "PENDING"]
    tick(25_150)

    assert statuses(alice) == ["CANCELLED", "ACTIVE"]
    assert_invariants(alice.client_id)


def test_a_change_that_fills_one_at_once_cancels_the_other(alice: Trader) -> None:
    low, _ = place(alice).get_json()["trades"]
    path = f"/trades/{alice.client_id}/{low['trade_id']}"

    changed = alice.client.patch(path, headers=alice.headers, json={"limit_price": 25_050})

    assert changed.get_json()["status"] == "ACTIVE"
    assert statuses(alice) == ["ACTIVE", "CANCELLED"]
    assert_invariants(alice.client_id)


def test_a_tick_between_the_quote_and_the_commit_counts(
    app: Flask, alice: Trader, feed: ScriptedFeed
) -> None:
    def rise(_sender: object, events: list[Notification]) -> None:
        if events[0].type == "trade_created":
            services().quotes.update([feed.set("^NSEI", 25_150)])

    with events_committed.connected_to(rise, sender=app):
        place(alice)

    assert statuses(alice) == ["CANCELLED", "ACTIVE"]


def test_both_filled_at_once_by_twenty_writers_leave_one(
    app: Flask, alice: Trader, feed: ScriptedFeed
) -> None:
    place(alice)
    with app.app_context():
        low = find_triggered(services().quotes.update([feed.set("^NSEI", 24_850)]))
        high = find_triggered(services().quotes.update([feed.set("^NSEI", 25_150)]))
    writes = iter([low, high] * 10)

    def write() -> None:
        with app.app_context():
            list(apply_transitions(next(writes)))

    run_concurrently([write] * 20)

    assert Counter(statuses(alice)) == {"ACTIVE": 1, "CANCELLED": 1}
    assert_invariants(alice.client_id)


@pytest.mark.parametrize(
    ("first", "second", "field", "fault"),
    [
        (LOW | {"order_type": "MARKET"}, HIGH, "orders.0.order_type", "must be LIMIT, STOP or"),
        (LOW, without(HIGH, "order_type"), "orders.1.order_type", "field required"),
        (LOW, HIGH | {"stop_price": None}, "orders.1.stop_price", "is required for STOP"),
        (LOW | {"time_in_force": "IOC"}, HIGH, "orders.0.time_in_force", "must be DAY or GTC"),
        (LOW, HIGH | {"limit": 3}, "orders.1.limit", "unknown field"),
        (LOW, HIGH | {"symbol": "RELIANCE", "stop_price": 1_500}, "orders", "of one symbol"),
        (LOW, HIGH | {"portfolio": "other"}, "orders", "must be of one portfolio"),
        (
            LOW | {"client_order_id": "c"},
            HIGH | {"client_order_id": "c"},
            "orders",
            "must have different client_order_ids",
        ),
    ],
)
def test_orders_that_do_not_make_a_pair_are_refused(
    alice: Trader, first: Any, second: Any, field: str, fault: str
) -> None:
    before = all_documents()["trades"]

    details = assert_error(place(alice, first, second), 400, "validation_error")

    assert fault in details[field]
    assert all_documents()["trades"] == before


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_pair_has_two_orders(alice: Trader, count: int) -> None:
    answer = send(alice, "/trades/oco", None, {"orders": [LOW] * count})

    assert "orders" in assert_error(answer, 400, "validation_error")


def test_an_order_that_the_price_has_reached_is_refused_by_its_number(alice: Trader) -> None:
    limit = assert_error(place(alice, LOW | {"limit_price": 25_000}), 400, "wrong_side_of_price")
    assert (limit["order"], limit["param"]) == (1, "limit_price")
    stop = assert_error(
        place(alice, LOW, HIGH | {"stop_price": 24_950}), 400, "would_trigger_immediately"
    )
    assert (stop["order"], stop["param"]) == (2, "stop_price")
    assert alice.trades() == []


def test_a_pair_is_placed_as_a_whole_or_not_at_all(alice: Trader) -> None:
    answer = place(alice, LOW | {"quantity": 10}, HIGH | {"quantity": 11})

    assert assert_error(answer, 400, "insufficient_margin")["order"] == 2
    assert alice.trades() == []
    assert alice.portfolio()["available_margin"] == 100_000.0
    assert_invariants(alice.client_id)


@pytest.mark.parametrize(
    ("key", "ids"), [("k", {}), (None, {"client_order_id": "c"}), ("k", {"client_order_id": "c"})]
)
def test_a_retry_gets_the_pair_as_it_was_placed(
    alice: Trader, tick: Callable[..., None], key: str | None, ids: dict[str, str]
) -> None:
    first = place(alice, LOW, HIGH | ids, key)
    assert first.status_code == 201
    assert_same(place(alice, LOW, HIGH | ids, key), first)
    tick(24_850)

    assert_same(place(alice, LOW, HIGH | ids, key), first)
    assert len(alice.trades()) == 2


def test_a_client_order_id_names_one_pair(alice: Trader) -> None:
    named = HIGH | {"client_order_id": "c"}
    place(alice, LOW, named)

    assert_error(place(alice, named, LOW), 409, "client_order_id_reused")
    assert_error(send(alice, "/trades/create", None, named), 409, "client_order_id_reused")
    assert len(alice.trades()) == 2


@pytest.mark.parametrize(("key", "ids"), [("k", {}), (None, {"client_order_id": "c"})])
def test_one_pair_sent_twenty_times_at_once_is_placed_once(
    alice: Trader, key: str | None, ids: dict[str, str]
) -> None:
    answers = send_concurrently(lambda: place(alice, LOW | ids, HIGH, key))

    placed = [body["trades"][0]["trade_id"] for status, body in answers if status == 201]
    assert placed
    assert len(set(placed)) == 1
    assert len(alice.trades()) == 2
    assert_invariants(alice.client_id)
