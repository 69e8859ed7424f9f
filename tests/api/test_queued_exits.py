"""Exits outside market hours wait for the first price of the next session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.monitor import Monitor
from tests.support.database_state import all_documents, documents
from tests.support.exchange_time import advance_to, ist
from tests.support.factories import assert_portfolio_balances
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.retries import assert_same, exit_all_path, exit_path, send
from tests.support.users import Trader

EVENING, NIGHT, MORNING = "2026-11-23 16:00", "2026-11-23 20:00", "2026-11-25 09:15"


@pytest.fixture
def clock() -> ManualClock:
    """A Monday morning. The Tuesday after it is a holiday."""
    return ManualClock(ist("2026-11-23 10:00"))


@pytest.fixture
def variables() -> dict[str, Any]:
    return {"MARKET_HOURS": "enforce"}


@pytest.fixture
def at(
    app: Flask, clock: ManualClock, feed: ScriptedFeed, monitor: Monitor
) -> Callable[[str, int], None]:
    """Let it be a time in India, and NIFTY come to a price."""

    def at(time: str, price: int) -> None:
        advance_to(clock, ist(time))
        feed.tick("^NSEI", price)
        monitor.run_once()

    return at


def show(trader: Trader, trade: dict[str, Any]) -> dict[str, Any]:
    path = f"/trades/{trader.client_id}/{trade['trade_id']}"
    shown: dict[str, Any] = trader.get(path).get_json()
    return shown


def test_an_exit_waits_and_takes_the_first_price_of_the_session(
    alice: Trader, at: Callable[[str, int], None]
) -> None:
    trade = alice.create_trade(quantity=2, stop_loss=24_000, target_price=26_000).get_json()
    at(EVENING, 25_000)

    answer = send(alice, exit_path(trade))

    assert answer.status_code == 202
    assert answer.get_json() == {
        "message": "Exit queued for the next session",
        "trade_id": trade["trade_id"],
        "quantity": 2,
        "queued_for": "2026-11-25",
    }
    assert show(alice, trade)["exit_queued"] == {"quantity": 2, "queued_for": "2026-11-25"}
    (event,) = documents("notifications", type="trade_modified")
    assert event["message"] == (
        "The exit of your BUY of 2 ^NSEI waits for the session of 25 November 2026."
    )
    at(NIGHT, 25_050)
    assert show(alice, trade)["status"] == "ACTIVE"

    at(MORNING, 25_100)

    shown = show(alice, trade)
    assert (shown["status"], shown["exit_reason"]) == ("CLOSED", "user")
    assert (shown["exit_price"], shown["pnl"], shown["exit_queued"]) == (25_100.0, 200.0, None)
    assert_portfolio_balances(alice.client_id)


def test_a_queued_part_leaves_the_rest_to_the_bracket(
    alice: Trader, at: Callable[[str, int], None]
) -> None:
    trade = alice.create_trade(quantity=4, stop_loss=24_900).get_json()
    at(EVENING, 25_000)
    assert send(alice, exit_path(trade), body={"percent": 25}).status_code == 202

    at(MORNING, 25_100)
    shown = show(alice, trade)
    assert (shown["status"], shown["open_quantity"], shown["pnl"]) == ("ACTIVE", 3, 100.0)
    assert shown["exit_queued"] is None
    at("2026-11-25 09:16", 25_200)
    assert show(alice, trade)["open_quantity"] == 3
    at("2026-11-25 09:17", 24_890)

    assert show(alice, trade)["status"] == "STOP_LOSS_HIT"
    assert_portfolio_balances(alice.client_id)


def test_a_queued_exit_can_be_cancelled(alice: Trader, at: Callable[[str, int], None]) -> None:
    trade = alice.create_trade(quantity=2).get_json()
    at(EVENING, 25_000)
    send(alice, exit_path(trade))
    path = f"/trades/cancel/{trade['trade_id']}"

    answer = send(alice, path, "k")

    assert answer.status_code == 200
    assert (answer.get_json()["status"], answer.get_json()["exit_queued"]) == ("ACTIVE", None)
    assert_same(send(alice, path, "k"), answer)
    assert_error(send(alice, path), 409, "not_pending")
    at(MORNING, 25_100)
    assert show(alice, trade)["status"] == "ACTIVE"
    assert_portfolio_balances(alice.client_id)


def test_a_retry_of_a_queued_exit_gets_the_first_answer(
    alice: Trader, at: Callable[[str, int], None]
) -> None:
    trade = alice.create_trade(quantity=2).get_json()
    at(EVENING, 25_000)
    first = send(alice, exit_path(trade), "k")
    before = all_documents()

    assert_same(send(alice, exit_path(trade), "k"), first)
    assert all_documents() == before
    at(MORNING, 25_100)
    assert_same(send(alice, exit_path(trade), "k"), first)


def test_exit_all_queues_the_exit_of_every_trade_and_says_so(
    alice: Trader, at: Callable[[str, int], None]
) -> None:
    first = alice.create_trade(quantity=2).get_json()
    second = alice.create_trade(quantity=4, stop_loss=24_000).get_json()
    at(EVENING, 25_000)

    answer = send(alice, exit_all_path(alice), "k")

    assert answer.status_code == 200
    queued = [
        {"symbol": "^NSEI", "quantity": trade["quantity"], "queued_for": "2026-11-25"}
        | {"trade_id": trade["trade_id"]}
        for trade in (first, second)
    ]
    assert answer.get_json() == {
        "message": "All exits queued for the next session",
        "total_pnl": 0.0,
        "count": 0,
        "cancelled": 0,
        "queued": queued,
        "not_exited": [],
    }
    assert_same(send(alice, exit_all_path(alice), "k"), answer)
    later = alice.create_trade().get_json()
    at(MORNING, 25_100)

    assert [show(alice, trade)["pnl"] for trade in (first, second)] == [200.0, 400.0]
    assert show(alice, later)["status"] == "ACTIVE"
    assert_portfolio_balances(alice.client_id)


def test_exit_all_queues_a_part_of_each_trade(
    alice: Trader, at: Callable[[str, int], None]
) -> None:
    trade = alice.create_trade(quantity=4).get_json()
    at(EVENING, 25_000)

    body = send(alice, exit_all_path(alice), body={"percent": 25}).get_json()

    assert [each["quantity"] for each in body["queued"]] == [1]
    at(MORNING, 25_100)
    assert show(alice, trade)["open_quantity"] == 3


@pytest.mark.parametrize("key", [None, "k"])
def test_exit_all_cancels_orders_at_any_hour(
    alice: Trader, at: Callable[[str, int], None], key: str | None
) -> None:
    active = alice.create_trade().get_json()
    waiting = alice.create_trade(order_type="LIMIT", limit_price=24_900).get_json()
    at(EVENING, 25_000)
    queued = alice.create_trade().get_json()

    answer = send(alice, exit_all_path(alice), key, {"include_pending": True})

    body = answer.get_json()
    assert (answer.status_code, body["cancelled"], body["count"]) == (200, 2, 0)
    assert [each["trade_id"] for each in body["queued"]] == [active["trade_id"]]
    for trade in (waiting, queued):
        assert show(alice, trade)["status"] == "CANCELLED"
    assert alice.portfolio()["utilized_margin"] == active["margin_used"]
    assert_portfolio_balances(alice.client_id)
