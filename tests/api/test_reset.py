"""Resetting a portfolio: everything is closed, and the next season begins."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.domain.quote import Source
from app.monitor import Monitor
from app.portfolio.reconciliation import find_differences
from tests.support.database_state import assert_invariants, documents
from tests.support.factories import assert_portfolio_balances
from tests.support.faults import before_commands
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection
from tests.support.responses import assert_error, money, whole
from tests.support.retries import (
    AT_ONCE,
    assert_same,
    create,
    exit_path,
    send,
    send_concurrently,
)
from tests.support.users import Trader


def reset(trader: Trader, key: str | None = None, **body: Any) -> TestResponse:
    return send(trader, f"/portfolio/{trader.client_id}/reset", key, body)


def activities(trader: Trader, season: int) -> list[tuple[str, float, float]]:
    path = f"/portfolio/{trader.client_id}/activities?season={season}"
    found = trader.get(path).get_json()["activities"]
    return [(line["kind"], line["amount"], line["balance"]) for line in found]


def assert_books(app: Flask, *traders: Trader) -> None:
    with app.app_context():
        for trader in traders:
            assert_invariants(trader.client_id)
            assert_portfolio_balances(trader.client_id)
            assert find_differences(trader.client_id) == []


def order_at(trader: Trader, limit: float) -> dict[str, Any]:
    placed = trader.create_trade(order_type="LIMIT", limit_price=limit)
    assert placed.status_code == 201, placed.text
    trade: dict[str, Any] = placed.get_json()
    assert trade["status"] == "PENDING"
    return trade


def test_it_closes_everything_and_begins_the_next_season(
    app: Flask, alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    alice.create_trade(quantity=2)
    alice.create_trade(symbol="RELIANCE.NS", trade_type="SELL")
    order_at(alice, 24_000)
    send(alice, f"/portfolio/{alice.client_id}/deposit", body={"amount": 500})
    clock.advance(1)
    feed.tick("^NSEI", 25_010)
    monitor.run_once()

    body = reset(alice).get_json()

    assert (body["message"], body["portfolio"]) == ("Portfolio reset", "default")
    assert (body["season"], body["exited"], body["cancelled"]) == (2, 2, 1)
    assert body["initial_margin"] == body["available_margin"] == 100_000.0
    ended = body["ended"]
    assert (ended["number"], ended["total_pnl"], ended["balance"]) == (1, 20.0, 100_520.0)
    assert (ended["deposits"], ended["closed_count"], ended["winner_count"]) == (500.0, 2, 1)
    shown = alice.portfolio()
    assert (shown["season"], shown["available_margin"]) == (2, 100_000.0)
    assert shown["utilized_margin"] == shown["total_pnl"] == shown["deposits"] == 0.0
    assert shown["seasons"] == [ended]
    assert_books(app, alice)


def test_the_history_is_kept_under_its_season(
    app: Flask, alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    first = alice.create_trade().get_json()
    clock.advance(1)
    feed.tick("^NSEI", 24_990)
    monitor.run_once()
    reset(alice, initial_margin=5_500)
    second = alice.create_trade().get_json()

    assert alice.portfolio()["initial_margin"] == 5_500.0
    assert [trade["trade_id"] for trade in alice.trades()] == [second["trade_id"]]
    old = alice.trades("?season=1")
    assert [(trade["trade_id"], trade["status"]) for trade in old] == [
        (first["trade_id"], "CLOSED")
    ]
    assert activities(alice, 1) == [
        ("trade", -10.0, 99_990.0),
        ("opening", 100_000.0, 100_000.0),
    ]
    assert activities(alice, 2) == [("reset", 5_500.0 - 99_990.0, 5_500.0)]
    numbers = sorted(trade["number"] for trade in documents("trades"))
    assert numbers == [1, 2]
    assert_books(app, alice)


def test_it_keeps_other_portfolios_keys_and_tokens(app: Flask, alice: Trader) -> None:
    alice.post("/portfolio/create", {"name": "swing"})
    kept = alice.create_trade().get_json()
    alice.create_trade(portfolio="swing")

    body = reset(alice, portfolio="Swing").get_json()

    assert (body["portfolio"], body["season"], body["exited"]) == ("swing", 2, 1)
    (trade,) = alice.trades()
    assert (trade["trade_id"], trade["status"]) == (kept["trade_id"], "ACTIVE")
    assert alice.portfolio()["season"] == 1
    assert_books(app, alice)


def test_it_is_an_event_after_those_of_the_trades(alice: Trader) -> None:
    alice.create_trade()
    order_at(alice, 24_000)
    reset(alice)

    newest = alice.notifications()[:3]
    assert newest[0]["type"] == "portfolio_reset"
    assert {event["type"] for event in newest[1:]} == {"trade_exited", "trade_cancelled"}
    assert newest[0]["message"] == (
        "Portfolio reset: season 1 ended with ₹1,00,000.00, season 2 begins with ₹1,00,000.00."
    )
    data = newest[0]["data"]
    assert (data["season"], data["exited"], data["cancelled"]) == (2, 1, 1)
    assert whole(data["ended"]["number"])
    assert money(data["ended"]["balance"])


def test_an_unknown_portfolio_and_invalid_margins_reset_nothing(
    alice: Trader, subtests: pytest.Subtests
) -> None:
    assert_error(reset(alice, portfolio="none"), 404, "portfolio_not_found")
    for margin in (0, 999.99, 1_000_000_001, "5000", True):
        with subtests.test(margin=margin):
            details = assert_error(reset(alice, initial_margin=margin), 400, "validation_error")
            assert set(details) == {"initial_margin"}
    assert alice.portfolio()["season"] == 1


def test_a_symbol_without_a_price_refuses_it_and_nothing_is_closed(
    app: Flask, alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    feed.source = Source.ANGEL_ONE
    clock.advance(1)
    feed.tick("^NSEI", 25_000)
    monitor.run_once()
    alice.create_trade()
    feed.source = Source.MOCK
    for symbol, price in (("^NSEI", 25_000), ("RELIANCE.NS", 1_400)):
        feed.tick(symbol, price)
    monitor.run_once()
    alice.create_trade(symbol="RELIANCE.NS")

    answer = reset(alice)

    assert assert_error(answer, 503, "market_data_unavailable")["symbols"] == ["^NSEI"]
    assert "^NSEI" in answer.get_json()["error"]
    assert len(alice.trades("?status=ACTIVE")) == 2
    assert alice.portfolio()["season"] == 1
    assert_books(app, alice)


@pytest.mark.parametrize("variables", [{"MARKET_HOURS": "enforce"}])
def test_a_closed_market_refuses_it_while_trades_are_active(
    alice: Trader, clock: ManualClock, feed: ScriptedFeed
) -> None:
    alice.create_trade()
    clock.advance(10 * 3_600)

    assert "next_open" in assert_error(reset(alice), 409, "market_closed")
    assert alice.portfolio()["season"] == 1


@pytest.mark.parametrize("variables", [{"MARKET_HOURS": "enforce"}])
def test_nothing_to_close_needs_no_open_market(alice: Trader, clock: ManualClock) -> None:
    clock.advance(10 * 3_600)

    assert reset(alice).get_json()["season"] == 2


def test_a_retry_resets_nothing_again(alice: Trader) -> None:
    alice.create_trade()
    first = reset(alice, "k", initial_margin=7_000)
    alice.create_trade()
    retry = reset(alice, "k", initial_margin=7_000)

    assert_same(retry, first)
    assert_error(reset(alice, "k"), 409, "idempotency_key_reused")
    assert len(alice.trades("?status=ACTIVE")) == 1


def test_twenty_retries_at_once_reset_once(app: Flask, alice: Trader) -> None:
    alice.create_trade()
    answers = send_concurrently(lambda: reset(alice, "k"))

    assert {status for status, _ in answers} == {200}
    assert len({str(body) for _, body in answers}) == 1
    assert alice.portfolio()["season"] == 2
    assert_books(app, alice)


def test_of_twenty_resets_at_once_each_ends_a_season_of_its_own(app: Flask, alice: Trader) -> None:
    alice.create_trade()
    answers = send_concurrently(lambda: reset(alice))

    won = [body["season"] for status, body in answers if status == 200]
    lost = [body for status, body in answers if status != 200]
    assert sorted(won) == list(range(2, 2 + len(won)))
    assert {body["code"] for body in lost} <= {"reset_meanwhile"}
    assert alice.portfolio()["season"] == 1 + len(won)
    assert sum(event["type"] == "portfolio_reset" for event in alice.notifications()) == len(won)
    assert_books(app, alice)


def test_resets_exits_and_creates_at_once_lose_nothing(app: Flask, alice: Trader) -> None:
    trades = [alice.create_trade().get_json() for _ in range(6)]
    exits = itertools.cycle(trades)
    calls: list[Callable[[], TestResponse]] = [
        lambda: reset(alice),
        lambda: create(alice, quantity=1),
        lambda: send(alice, exit_path(next(exits))),
        lambda: send(alice, f"/portfolio/{alice.client_id}/deposit", body={"amount": 1}),
        lambda: send(alice, f"/trades/exit-all/{alice.client_id}"),
    ]
    turn = itertools.count()

    answers = send_concurrently(lambda: calls[next(turn) % len(calls)](), AT_ONCE)

    assert {status for status, _ in answers} <= {200, 201, 409}
    codes = {body["code"] for status, body in answers if status == 409}
    assert codes <= {"trade_not_active", "reset_meanwhile"}
    assert_books(app, alice)
    opened = [body["trade_id"] for status, body in answers if status == 201]
    assert {str(trade["_id"]) for trade in documents("trades")} == {
        *opened,
        *(trade["trade_id"] for trade in trades),
    }


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("kept", range(4))
def test_an_interrupted_reset_is_continued_by_a_retry(app: Flask, alice: Trader, kept: int) -> None:
    """With batches of two, five trades take two transactions before that of the season."""
    app.config["WRITE_BATCH_SIZE"] = 2
    for _ in range(5):
        alice.create_trade()
    transactions = itertools.count()

    def kill(command: dict[str, Any]) -> None:
        if command.get("startTransaction") and next(transactions) >= kept:
            raise Killed

    with before_commands(kill):
        answer = reset(alice, "k")
    finished = kept == 3
    if not finished:
        assert answer.status_code == 500
        assert alice.portfolio()["season"] == 1
    assert_books(app, alice)

    body = reset(alice, "k").get_json()

    assert (body["season"], body["ended"]["closed_count"]) == (2, 5)
    assert alice.portfolio()["seasons"] == [body["ended"]]
    assert alice.trades("?season=1&status=ACTIVE") == []
    assert_books(app, alice)


def test_a_season_more_than_are_kept_forgets_the_oldest(alice: Trader) -> None:
    portfolio = collection("portfolios").find_one({"user_id": alice.client_id})
    assert portfolio is not None
    reset(alice)
    (kept,) = alice.portfolio()["seasons"]
    stored = collection("portfolios").find_one({"user_id": alice.client_id}) or {}
    many = [{**stored["seasons"][0], "number": number} for number in range(1, 101)]
    collection("portfolios").update_one(
        {"user_id": alice.client_id}, {"$set": {"seasons": many, "season": 101}}
    )

    reset(alice)

    numbers = [season["number"] for season in alice.portfolio()["seasons"]]
    assert numbers == list(range(2, 102))
    assert kept["number"] == 1
    assert_error(alice.get(f"/trades/{alice.client_id}?season=1"), 404, "season_not_found")
