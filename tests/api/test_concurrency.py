"""Concurrent requests, by real threads against the real database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from app.monitor import Monitor
from tests.support.concurrency import run_concurrently
from tests.support.factories import assert_portfolio_balances
from tests.support.market import ScriptedFeed
from tests.support.own_client import collection
from tests.support.responses import assert_error
from tests.support.users import Trader, registration

Call = Callable[[], TestResponse]


def posts(app: Flask, trader: Trader, path: str, times: int, body: object = None) -> list[Call]:
    """Return calls that post the same body, each with its own client."""
    clients = [replace(trader, client=app.test_client()) for _ in range(times)]
    return [partial(client.post, path, body) for client in clients]


def statuses(answers: list[TestResponse]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def test_two_registrations_of_one_email_at_once_make_one_user(app: Flask) -> None:
    for number in range(3):
        email = f"race{number}@example.com"
        bodies = [registration(email=each) for each in (email, email.upper())]
        answers = run_concurrently(
            [partial(app.test_client().post, "/auth/register", json=body) for body in bodies]
        )

        assert statuses(answers) == {201: 1, 409: 1}
        (refused,) = [answer for answer in answers if answer.status_code == 409]
        assert_error(refused, 409, "email_taken")
        assert collection("users").count_documents({"email": email}) == 1


def test_two_registrations_of_one_client_id_at_once_make_one_user(app: Flask) -> None:
    bodies = [registration(client_id="desk") for _ in range(2)]
    answers = run_concurrently(
        [partial(app.test_client().post, "/auth/register", json=body) for body in bodies]
    )

    assert statuses(answers) == {201: 1, 409: 1}
    assert collection("users").count_documents({}) == 1


def test_two_creates_of_one_portfolio_at_once_make_one(app: Flask, carol: Trader) -> None:
    answers = run_concurrently(posts(app, carol, "/portfolio/create", 8, {}))

    assert statuses(answers) == {201: 1, 200: 7}
    assert len({answer.text for answer in answers}) == 1
    assert collection("portfolios").count_documents({}) == 1
    assert_portfolio_balances(carol.client_id)


def test_twenty_exits_of_one_trade_close_it_once(
    app: Flask, alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(quantity=2).get_json()
    feed.tick("^NSEI", "25003.25")
    monitor.run_once()

    answers = run_concurrently(posts(app, alice, f"/trades/exit/{trade['trade_id']}", 20))

    assert statuses(answers) == {200: 1, 409: 19}
    for answer in answers:
        if answer.status_code == 409:
            details = assert_error(answer, 409, "trade_not_active")
            assert (details["status"], details["pnl"]) == ("CLOSED", 6.5)
    assert alice.portfolio()["total_pnl"] == 6.5
    assert_portfolio_balances(alice.client_id)


def test_fifty_creates_against_margin_for_ten_open_exactly_ten(app: Flask, alice: Trader) -> None:
    order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 2}
    answers = run_concurrently(posts(app, alice, "/trades/create", 50, order))

    assert statuses(answers) == {201: 10, 400: 40}
    for answer in answers:
        if answer.status_code == 400:
            details = assert_error(answer, 400, "insufficient_margin")
            assert details["required_margin"] == 10_000.0
            assert details["available_margin"] < 10_000.0
    portfolio = alice.portfolio()
    assert (portfolio["available_margin"], portfolio["utilized_margin"]) == (0.0, 100_000.0)
    assert_portfolio_balances(alice.client_id)


def test_exit_all_racing_a_falling_tick_closes_each_trade_once(
    app: Flask, alice: Trader, bob: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    for _ in range(15):
        for trader in (alice, bob):
            trader.create_trade(symbol="RELIANCE", quantity=2, stop_loss=1_390)
    feed.tick("RELIANCE.NS", "1389.95")

    calls: list[Callable[[], Any]] = [
        monitor.run_once,
        *posts(app, alice, f"/trades/exit-all/{alice.client_id}", 2),
        *posts(app, bob, f"/trades/exit-all/{bob.client_id}", 1),
    ]
    settled, *answers = run_concurrently(calls)

    by_users = sum(answer.get_json()["count"] for answer in answers)
    assert statuses(answers) == {200: 3}
    assert settled.closed + by_users == 30
    for trader in (alice, bob):
        assert {trade["status"] for trade in trader.trades()} <= {"CLOSED", "STOP_LOSS_HIT"}
        assert trader.portfolio()["utilized_margin"] == 0.0
        assert_portfolio_balances(trader.client_id)
    reported = sum(answer.get_json()["total_pnl"] for answer in answers)
    booked = sum(
        trade["pnl"] for t in (alice, bob) for trade in t.trades() if trade["status"] == "CLOSED"
    )
    assert round(reported, 2) == round(booked, 2)


def test_exits_racing_the_tick_that_closes_the_trade_agree_on_one_end(
    app: Flask, alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    for _ in range(5):
        trade = alice.create_trade(symbol="RELIANCE", target_price=1_410).get_json()
        feed.tick("RELIANCE.NS", 1_410)
        path = f"/trades/exit/{trade['trade_id']}"
        calls: list[Callable[[], Any]] = [monitor.run_once, *posts(app, alice, path, 2)]
        results = run_concurrently(calls)

        ended = results[0].closed + statuses(results[1:])[200]
        assert ended == 1
        assert statuses(results[1:])[200] + statuses(results[1:])[409] == 2
        feed.tick("RELIANCE.NS", 1_400)
        monitor.run_once()
    assert_portfolio_balances(alice.client_id)


def test_reading_one_notification_at_once_counts_it_once(app: Flask, alice: Trader) -> None:
    alice.create_trade()
    alice.create_trade()
    path = f"/notifications/{alice.notifications()[0]['id']}/read"
    clients = [replace(alice, client=app.test_client()) for _ in range(8)]

    answers = run_concurrently([partial(client.put, path) for client in clients])

    assert statuses(answers) == {200: 8}
    assert alice.get("/notifications").get_json()["unread_count"] == 1
    assert_portfolio_balances(alice.client_id)
