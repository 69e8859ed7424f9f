"""Deposits and withdrawals, and the activities that list every movement of money."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from app.monitor import Monitor
from app.portfolio.reconciliation import find_differences
from tests.support.database_state import assert_invariants, documents
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection
from tests.support.partial_exits import exit_part, insert_cancelled
from tests.support.responses import (
    assert_error,
    assert_shape,
    money,
    object_id,
    text,
    time,
    whole,
)
from tests.support.retries import assert_same, send, send_concurrently
from tests.support.users import Trader

MOVEMENT = {
    "message": text,
    "movement_id": object_id,
    "user_id": text,
    "portfolio": text,
    "kind": text,
    "amount": money,
    "available_margin": money,
    "season": whole,
    "created_at": time,
}


def move(trader: Trader, kind: str, amount: Any, key: str | None = None, **body: Any) -> Any:
    path = f"/portfolio/{trader.client_id}/{kind}"
    return send(trader, path, key, {"amount": amount, **body})


def activities(trader: Trader, query: str = "") -> list[dict[str, Any]]:
    answer = trader.get(f"/portfolio/{trader.client_id}/activities{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.get_json()["activities"])


def all_pages(trader: Trader, limit: int) -> list[dict[str, Any]]:
    found, query = [], f"?limit={limit}"
    while True:
        page = trader.get(f"/portfolio/{trader.client_id}/activities{query}").get_json()
        found += page["activities"]
        if page["next_cursor"] is None:
            return found
        query = f"?limit={limit}&cursor={page['next_cursor']}"


def assert_chained(lines: list[dict[str, Any]], newest: float) -> None:
    """Check that the balances follow from the amounts, from nothing to the newest balance."""
    balance = Decimal(0)
    for line in reversed(lines):
        balance += Decimal(str(line["amount"]))
        assert Decimal(str(line["balance"])) == balance, line
    assert balance == Decimal(str(newest))


def move_price(feed: ScriptedFeed, monitor: Monitor, clock: ManualClock, price: int) -> None:
    clock.advance(1)
    feed.tick("^NSEI", price)
    monitor.run_once()


def test_a_deposit_and_a_withdrawal_change_what_is_available(alice: Trader) -> None:
    deposited = move(alice, "deposit", 25_000.5)
    withdrawn = move(alice, "withdraw", 5_000.25)

    assert (deposited.status_code, withdrawn.status_code) == (200, 200)
    body = deposited.get_json()
    assert_shape(body, MOVEMENT)
    assert body["message"] == "Funds deposited"
    assert (body["portfolio"], body["kind"], body["season"]) == ("default", "deposit", 1)
    assert (body["amount"], body["available_margin"]) == (25_000.5, 125_000.5)
    other = withdrawn.get_json()
    assert (other["kind"], other["amount"]) == ("withdrawal", -5_000.25)
    assert other["available_margin"] == 120_000.25
    shown = alice.portfolio()
    assert (shown["available_margin"], shown["initial_margin"]) == (120_000.25, 100_000.0)
    assert (shown["deposits"], shown["withdrawals"]) == (25_000.5, 5_000.25)
    assert_invariants(alice.client_id)


def test_they_are_of_the_named_portfolio(alice: Trader) -> None:
    alice.post("/portfolio/create", {"name": "swing", "initial_margin": 1_000})

    assert move(alice, "deposit", 1, portfolio="Swing").get_json()["available_margin"] == 1_001.0
    assert alice.portfolio()["available_margin"] == 100_000.0
    answer = move(alice, "withdraw", 1, portfolio="none")
    assert assert_error(answer, 404, "portfolio_not_found") == {"portfolio": "none"}


def test_they_are_events_with_the_balance(alice: Trader) -> None:
    move(alice, "deposit", 25_000)
    move(alice, "withdraw", 1_000)

    withdrawn, deposited = alice.notifications()
    assert (deposited["type"], deposited["message"]) == (
        "funds_deposited",
        "Deposited ₹25,000.00.",
    )
    assert deposited["data"] | {"movement_id": "", "created_at": ""} == {
        "movement_id": "",
        "portfolio": "default",
        "amount": 25_000.0,
        "available_margin": 125_000.0,
        "season": 1,
        "created_at": "",
    }
    assert (withdrawn["type"], withdrawn["message"]) == ("funds_withdrawn", "Withdrew ₹1,000.00.")


def test_invalid_amounts_move_nothing(alice: Trader, subtests: pytest.Subtests) -> None:
    for amount in [0, -1, 0.001, 1_000_000_000.01, "5", None, True, [1], 1e30]:
        with subtests.test(amount=repr(amount)):
            for kind in ("deposit", "withdraw"):
                details = assert_error(move(alice, kind, amount), 400, "validation_error")
                assert set(details) == {"amount"}
    assert len(documents("movements")) == 1


def test_blocked_margin_cannot_be_withdrawn(alice: Trader) -> None:
    alice.create_trade(quantity=2)

    details = assert_error(move(alice, "withdraw", 90_000.01), 400, "insufficient_funds")
    assert details == {
        "amount": 90_000.01,
        "withdrawable": 90_000.0,
        "available_margin": 90_000.0,
    }
    assert move(alice, "withdraw", 90_000).get_json()["available_margin"] == 0.0
    assert_invariants(alice.client_id)


def test_what_open_trades_have_lost_cannot_be_withdrawn(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    alice.create_trade(quantity=2)
    move_price(feed, monitor, clock, 24_000)

    details = assert_error(move(alice, "withdraw", 88_000.01), 400, "insufficient_funds")
    assert (details["withdrawable"], details["available_margin"]) == (88_000.0, 90_000.0)
    assert move(alice, "withdraw", 88_000).status_code == 200
    assert_invariants(alice.client_id)


def test_a_profit_that_is_not_realized_cannot_be_withdrawn(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    alice.create_trade(quantity=2)
    move_price(feed, monitor, clock, 26_000)

    assert_error(move(alice, "withdraw", 90_000.01), 400, "insufficient_funds")


def test_a_portfolio_has_a_largest_balance(alice: Trader) -> None:
    largest = {"available_margin": Decimal(10**12 - 10), "deposits": Decimal(10**12 - 100_010)}
    collection("portfolios").update_one({"user_id": alice.client_id}, {"$set": largest})

    details = assert_error(move(alice, "deposit", 10.01), 400, "balance_too_large")
    assert details["limit"] == 1e12
    assert move(alice, "deposit", 10).status_code == 200


@pytest.mark.parametrize("kind", ["deposit", "withdraw"])
def test_a_retry_moves_nothing_again(alice: Trader, kind: str) -> None:
    first = move(alice, kind, 10, "k")
    alice.create_trade()
    retry = move(alice, kind, 10, "k")

    assert_same(retry, first)
    assert_error(move(alice, kind, 11, "k"), 409, "idempotency_key_reused")
    assert len(documents("movements")) == 2
    assert_invariants(alice.client_id)


def test_twenty_retries_at_once_move_once(alice: Trader) -> None:
    answers = send_concurrently(lambda: move(alice, "deposit", 10, "k"))

    assert {status for status, _ in answers} == {200}
    assert len({body["movement_id"] for _, body in answers}) == 1
    assert alice.portfolio()["available_margin"] == 100_010.0


def test_twenty_withdrawals_at_once_take_what_there_is(alice: Trader) -> None:
    answers = send_concurrently(lambda: move(alice, "withdraw", 30_000))

    assert sorted(status for status, _ in answers) == [200] * 3 + [400] * 17
    assert alice.portfolio()["available_margin"] == 10_000.0
    assert_invariants(alice.client_id)
    assert len(alice.notifications()) == 3


def test_activities_list_every_movement_with_the_balance_after_it(
    app: Flask, alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    trade = alice.create_trade(quantity=2).get_json()
    clock.advance(60)
    move(alice, "deposit", 1_000)
    move_price(feed, monitor, clock, 25_010)
    alice.post(f"/trades/exit/{trade['trade_id']}")
    clock.advance(60)
    move(alice, "withdraw", 500)
    alice.create_trade()

    lines = activities(alice)
    kinds = [(line["kind"], line["amount"], line["balance"]) for line in lines]
    assert kinds == [
        ("withdrawal", -500.0, 100_520.0),
        ("trade", 20.0, 101_020.0),
        ("deposit", 1_000.0, 101_000.0),
        ("opening", 100_000.0, 100_000.0),
    ]
    assert (lines[1]["trade_id"], lines[1]["symbol"]) == (trade["trade_id"], "^NSEI")
    assert lines[0]["trade_id"] is lines[0]["symbol"] is None
    assert len({line["activity_id"] for line in lines}) == 4
    with app.app_context():
        assert find_differences(alice.client_id) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500])
def test_pages_continue_the_balance(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock, limit: int
) -> None:
    for number, price in enumerate((25_010, 24_990, 25_005)):
        for _ in range(3):
            alice.create_trade()
        move(alice, "deposit", 100 + number)
        move_price(feed, monitor, clock, price)
        # Three results of one time.
        alice.post(f"/trades/exit-all/{alice.client_id}")
        clock.advance(3 * 86_400 * number)
        move_price(feed, monitor, clock, 25_000)

    lines = all_pages(alice, limit)
    assert len(lines) == 1 + 9 + 3
    assert len({line["activity_id"] for line in lines}) == len(lines)
    assert sorted((line["time"] for line in lines), reverse=True) == [
        line["time"] for line in lines
    ]
    assert_chained(lines, alice.portfolio()["available_margin"])


def test_each_exit_of_a_trade_is_an_activity(
    app: Flask, alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    trade = alice.create_trade(quantity=5).get_json()
    for price, quantity in ((25_010, 2), (24_995, 1)):
        move_price(feed, monitor, clock, price)
        exit_part(app, alice.client_id, trade["trade_id"], quantity)
        # The price of the next part is more than a day later.
        clock.advance(100_000)
    move(alice, "deposit", 7)
    move_price(feed, monitor, clock, 25_001)
    alice.post(f"/trades/exit/{trade['trade_id']}")

    for limit in (1, 2, 50):
        lines = all_pages(alice, limit)
        assert [line["amount"] for line in lines] == [2.0, 7.0, -5.0, 20.0, 100_000.0]
        assert len({line["activity_id"] for line in lines}) == len(lines)
        assert_chained(lines, alice.portfolio()["available_margin"])


def test_an_order_that_was_cancelled_moved_no_money(app: Flask, alice: Trader) -> None:
    insert_cancelled(app, alice.client_id)

    assert [line["kind"] for line in activities(alice)] == ["opening"]


def test_a_page_ends_before_what_happens_after_it(alice: Trader, clock: ManualClock) -> None:
    for amount in (1, 2, 3):
        clock.advance(1)
        move(alice, "deposit", amount)
    path = f"/portfolio/{alice.client_id}/activities?limit=2"
    first = alice.get(path).get_json()
    clock.advance(1)
    move(alice, "deposit", 4)
    second = alice.get(f"{path}&cursor={first['next_cursor']}").get_json()

    lines = first["activities"] + second["activities"]
    assert [line["amount"] for line in lines] == [3.0, 2.0, 1.0, 100_000.0]
    assert_chained(lines, 100_006.0)


def test_a_cursor_of_another_kind_is_refused(alice: Trader, subtests: pytest.Subtests) -> None:
    for cursor in ["1", "x", "1-2-3-4", "-1-" + "0" * 24 + "-0-0", "9" * 15 + "-" + "0" * 24]:
        with subtests.test(cursor=cursor):
            path = f"/portfolio/{alice.client_id}/activities?cursor={cursor}"
            assert set(assert_error(alice.get(path), 400, "validation_error")) == {"cursor"}


def test_activities_of_an_unknown_portfolio_or_season_are_a_404(alice: Trader) -> None:
    path = f"/portfolio/{alice.client_id}/activities"
    assert_error(alice.get(f"{path}?portfolio=none"), 404, "portfolio_not_found")
    assert_error(alice.get(f"{path}?season=2"), 404, "season_not_found")
