"""Exiting a part of a trade, and selections of trades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from bson import ObjectId
from flask import Flask
from werkzeug.test import TestResponse

from app.monitor import Monitor
from tests.support.concurrency import run_concurrently
from tests.support.database_state import all_documents, documents
from tests.support.factories import assert_portfolio_balances
from tests.support.faults import before_command
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection
from tests.support.responses import assert_error
from tests.support.retries import assert_same, exit_all_path, exit_path, send
from tests.support.users import Trader

AT_ONCE = 20
Call = Callable[[], Any]


def show(trader: Trader, trade: dict[str, Any]) -> dict[str, Any]:
    path = f"/trades/{trader.client_id}/{trade['trade_id']}"
    shown: dict[str, Any] = trader.get(path).get_json()
    return shown


def exit_part(trader: Trader, trade: dict[str, Any], key: str | None = None, **body: Any) -> Any:
    return send(trader, exit_path(trade), key, body)


def move(feed: ScriptedFeed, monitor: Monitor, price: int | str, symbol: str = "^NSEI") -> None:
    feed.tick(symbol, price)
    monitor.run_once()


def statuses(answers: Sequence[TestResponse]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def test_a_part_is_exited_and_the_rest_is_held(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(quantity=10).get_json()
    move(feed, monitor, 25_010)

    answer = exit_part(alice, trade, quantity=4)

    assert answer.status_code == 200
    assert answer.get_json() == {
        "message": "Part of the trade exited",
        "pnl": 40.0,
        "exit_price": 25_010.0,
        "quantity": 4,
        "open_quantity": 6,
    }
    shown = show(alice, trade)
    assert (shown["status"], shown["open_quantity"], shown["quantity"]) == ("ACTIVE", 6, 10)
    assert (shown["pnl"], shown["exit_price"]) == (40.0, 25_010.0)
    portfolio = alice.portfolio()
    assert (portfolio["utilized_margin"], portfolio["total_pnl"]) == (30_000.0, 40.0)
    assert portfolio["available_margin"] == 70_040.0
    (event,) = documents("notifications", type="trade_partially_exited")
    assert (event["data"]["quantity"], event["data"]["open_quantity"]) == (4, 6)
    assert_portfolio_balances(alice.client_id)


def test_the_last_part_closes_the_trade_at_the_weighted_price(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(quantity=3).get_json()
    move(feed, monitor, 25_010)
    exit_part(alice, trade, quantity=1)
    move(feed, monitor, 25_000)

    assert exit_part(alice, trade, quantity=2).get_json()["open_quantity"] == 0

    shown = show(alice, trade)
    assert (shown["status"], shown["pnl"], shown["exit_price"]) == ("CLOSED", 10.0, 25_003.33)
    fills = [(fill["kind"], fill["quantity"], fill["price"]) for fill in shown["fills"]]
    assert fills == [("entry", 3, 25_000.0), ("exit", 1, 25_010.0), ("exit", 2, 25_000.0)]
    assert alice.portfolio()["available_margin"] == 100_010.0
    assert_portfolio_balances(alice.client_id)


def test_any_division_releases_the_margin_to_the_paisa(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    move(feed, monitor, "1000.05", "RELIANCE.NS")
    trade = alice.create_trade(symbol="RELIANCE", quantity=7).get_json()
    for quantity in (1, 3, 2, 1):
        assert exit_part(alice, trade, quantity=quantity).status_code == 200
        assert_portfolio_balances(alice.client_id)

    portfolio = alice.portfolio()
    assert (portfolio["utilized_margin"], portfolio["available_margin"]) == (0.0, 100_000.0)


@pytest.mark.parametrize(("percent", "exited"), [(50, 5), (99.99, 9), (1, 1), (100, 10), (25.5, 2)])
def test_a_percentage_of_what_is_held_is_rounded_down_and_is_one_at_least(
    alice: Trader, percent: float, exited: int
) -> None:
    trade = alice.create_trade(quantity=10).get_json()

    body = exit_part(alice, trade, percent=percent).get_json()

    assert (body["quantity"], body["open_quantity"]) == (exited, 10 - exited)
    assert_portfolio_balances(alice.client_id)


@pytest.mark.parametrize(
    "body",
    [
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 1.5},
        {"percent": 0},
        {"percent": 100.01},
        {"percent": "50"},
        {"quantity": 1, "percent": 50},
    ],
)
def test_a_share_that_is_none_is_refused(alice: Trader, body: dict[str, Any]) -> None:
    trade = alice.create_trade(quantity=10).get_json()

    assert_error(exit_part(alice, trade, **body), 400, "validation_error")
    assert show(alice, trade)["open_quantity"] == 10


def test_more_than_is_held_is_refused_with_the_trade_as_it_is(alice: Trader) -> None:
    trade = alice.create_trade(quantity=3).get_json()
    exit_part(alice, trade, quantity=1)
    before = all_documents()

    details = assert_error(exit_part(alice, trade, quantity=3), 409, "quantity_not_held")

    assert details["trade"]["open_quantity"] == 2
    assert all_documents() == before


def test_the_bracket_guards_what_is_left(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(quantity=10, stop_loss=24_900).get_json()
    exit_part(alice, trade, quantity=4)

    move(feed, monitor, 24_890)

    shown = show(alice, trade)
    assert (shown["status"], shown["pnl"]) == ("STOP_LOSS_HIT", -660.0)
    assert [fill["quantity"] for fill in shown["fills"]] == [10, 4, 6]
    assert alice.portfolio()["available_margin"] == 100_000.0 - 660.0
    (event,) = documents("notifications", type="trade_auto_closed")
    assert event["data"]["quantity"] == 6
    assert_portfolio_balances(alice.client_id)


def test_a_retry_of_a_part_gets_the_first_answer_and_exits_nothing(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(quantity=10).get_json()
    first = exit_part(alice, trade, "one", quantity=4)
    move(feed, monitor, 25_100)
    second = exit_part(alice, trade, "two", percent=50)
    last = exit_part(alice, trade, "three")
    before = all_documents()

    assert_same(exit_part(alice, trade, "one", quantity=4), first)
    assert_same(exit_part(alice, trade, "two", percent=50), second)
    assert_same(exit_part(alice, trade, "three"), last)
    assert_error(exit_part(alice, trade, "one", quantity=5), 409, "idempotency_key_reused")
    assert all_documents() == before
    quantities = [answer.get_json()["quantity"] for answer in (first, second, last)]
    assert quantities == [4, 3, 3]


def test_exits_of_parts_at_once_never_exit_more_than_is_held(alice: Trader) -> None:
    trade = alice.create_trade(quantity=10).get_json()

    calls: list[Call] = [partial(exit_part, alice, trade, quantity=3) for _ in range(AT_ONCE)]
    answers = run_concurrently(calls)

    assert set(statuses(answers)) <= {200, 409}
    assert 1 <= statuses(answers)[200] <= 3
    shown = show(alice, trade)
    assert shown["open_quantity"] == 10 - 3 * statuses(answers)[200]
    for answer in answers:
        if answer.status_code == 409:
            code = answer.get_json()["code"]
            assert code in ("changed_meanwhile", "quantity_not_held")
            assert assert_error(answer, 409, code)["trade"]["open_quantity"] < 10
    assert_portfolio_balances(alice.client_id)


def test_a_retried_part_at_once_is_exited_once(alice: Trader) -> None:
    trade = alice.create_trade(quantity=10).get_json()

    calls: list[Call] = [partial(exit_part, alice, trade, "k", quantity=3) for _ in range(AT_ONCE)]
    answers = run_concurrently(calls)

    assert statuses(answers) == {200: AT_ONCE}
    assert len({answer.text for answer in answers}) == 1
    assert show(alice, trade)["open_quantity"] == 7
    assert_portfolio_balances(alice.client_id)


def test_a_stop_that_races_exits_of_parts_closes_all_that_is_left(
    app: Flask, alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    orders = [alice.create_trade(quantity=2, stop_loss=24_900) for _ in range(AT_ONCE // 2)]
    trades = [order.get_json() for order in orders]
    feed.tick("^NSEI", 24_890)

    calls: list[Call] = [partial(exit_part, alice, trade, quantity=1) for trade in trades]
    _, *answers = run_concurrently([monitor.run_once, *calls])

    assert set(statuses(answers)) <= {200, 409}
    for trade, answer in zip(trades, answers, strict=True):
        shown = show(alice, trade)
        assert shown["status"] == "STOP_LOSS_HIT"
        parts = [fill["quantity"] for fill in shown["fills"][1:]]
        assert parts == ([1, 1] if answer.status_code == 200 else [2])
    assert alice.portfolio()["utilized_margin"] == 0.0
    assert_portfolio_balances(alice.client_id)


def test_a_full_exit_that_races_parts_exits_what_they_leave(alice: Trader) -> None:
    trade = alice.create_trade(quantity=10).get_json()

    parts: list[Call] = [partial(exit_part, alice, trade, quantity=1) for _ in range(4)]
    whole, *others = run_concurrently([lambda: exit_part(alice, trade), *parts])

    assert whole.status_code == 200
    assert set(statuses(others)) <= {200, 409}
    shown = show(alice, trade)
    assert shown["status"] == "CLOSED"
    assert sum(fill["quantity"] for fill in shown["fills"][1:]) == 10
    assert_portfolio_balances(alice.client_id)


def exit_all(trader: Trader, key: str | None = None, **body: Any) -> TestResponse:
    return send(trader, exit_all_path(trader), key, body)


def test_exit_all_of_a_symbol_leaves_the_others(alice: Trader) -> None:
    alice.create_trade(quantity=2)
    alice.create_trade(symbol="RELIANCE", quantity=2)

    body = exit_all(alice, symbol="nifty").get_json()

    assert body["count"] == 1
    assert [trade["symbol"] for trade in alice.trades("?status=ACTIVE")] == ["RELIANCE.NS"]
    assert_error(exit_all(alice, symbol="NOPE"), 400, "unknown_symbol")
    assert_portfolio_balances(alice.client_id)


def test_exit_all_of_a_percentage_exits_that_part_of_each(alice: Trader) -> None:
    alice.create_trade(quantity=4)
    alice.create_trade(symbol="RELIANCE", quantity=3)

    body = exit_all(alice, percent=50).get_json()

    assert body["count"] == 2
    assert [trade["open_quantity"] for trade in alice.trades()] == [2, 2]
    assert_portfolio_balances(alice.client_id)


def test_exit_all_cancels_orders_that_wait_if_it_is_to(alice: Trader) -> None:
    alice.create_trade()
    waiting = {"order_type": "LIMIT", "limit_price": 24_900}
    alice.create_trade(**waiting)
    alice.create_trade(symbol="RELIANCE", order_type="LIMIT", limit_price=1_300)

    assert exit_all(alice).get_json()["cancelled"] == 0
    body = exit_all(alice, symbol="NIFTY", include_pending=True).get_json()

    assert (body["count"], body["cancelled"]) == (0, 1)
    assert [trade["status"] for trade in alice.trades()] == ["PENDING", "CANCELLED", "CLOSED"]
    assert_portfolio_balances(alice.client_id)


@pytest.mark.parametrize("key", [None, "k"])
def test_exit_all_lists_what_has_no_price_also_if_another_trade_is_changed_meanwhile(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, key: str | None
) -> None:
    unpriced = alice.create_trade(symbol="RELIANCE").get_json()
    changed = alice.create_trade().get_json()
    feed.set("RELIANCE.NS", 0)
    clock.advance(60)

    def change() -> None:
        query = {"_id": ObjectId(changed["trade_id"])}
        # In a thread, so that it does not join the transaction.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(collection("trades").update_one, query, {"$set": {"version": 1}}).result()

    with before_command("update", "trades", change):
        body = exit_all(alice, key).get_json()

    assert (body["message"], body["count"]) == ("1 of 2 trades exited", 1)
    assert body["not_exited"] == [
        {
            "trade_id": unpriced["trade_id"],
            "symbol": "RELIANCE.NS",
            "code": "market_data_unavailable",
        }
    ]


def test_a_retry_of_exit_all_exits_no_second_part(alice: Trader) -> None:
    alice.create_trade(quantity=4)
    alice.create_trade(order_type="LIMIT", limit_price=24_900)
    selection = {"percent": 50, "include_pending": True}
    first = exit_all(alice, "k", **selection)
    alice.create_trade(order_type="LIMIT", limit_price=24_900)
    before = all_documents()

    assert first.get_json()["count"] == first.get_json()["cancelled"] == 1
    assert_same(exit_all(alice, "k", **selection), first)
    assert_error(exit_all(alice, "k"), 409, "idempotency_key_reused")
    assert all_documents() == before


def test_an_interrupted_exit_of_parts_continues_with_the_others(alice: Trader) -> None:
    for _ in range(3):
        alice.create_trade(quantity=4)
    exit_all(alice, "k", percent=50)
    oldest = documents("trades", number=1)[0]
    undo_all_but(alice, oldest["_id"])

    body = exit_all(alice, "k", percent=50).get_json()

    assert body["count"] == 3
    assert [trade["open_quantity"] for trade in alice.trades()] == [2, 2, 2]
    assert_portfolio_balances(alice.client_id)


def undo_all_but(trader: Trader, kept: Any) -> None:
    """Restore the state of an exit-all that was interrupted after its first trade."""
    margin = 0
    for trade in documents("trades", user_id=trader.client_id):
        if trade["_id"] != kept:
            margin += 10_000
            collection("trades").update_one(
                {"_id": trade["_id"]}, {"$unset": {"partial_exits": "", "version": ""}}
            )
    collection("portfolios").update_one(
        {"user_id": trader.client_id},
        {
            "$inc": {
                "available_margin": -Decimal(margin),
                "utilized_margin": Decimal(margin),
                "exposure.^NSEI.quantity": 4,
                "exposure.^NSEI.cost": Decimal(100_000),
            }
        },
    )
    collection("answers").update_one(
        {"_id.key": "k"},
        {
            "$set": {
                "result.done": False,
                "result.count": 1,
                "result.written": [kept],
            },
            "$unset": {"result.not_exited": ""},
        },
    )
