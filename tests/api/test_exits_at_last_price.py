"""Exits of shares that have no price, or an old one; orders at an old one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.domain.quote import Source
from app.extensions import mongo
from app.monitor import Monitor
from config import Settings
from tests.support.database_state import assert_invariants
from tests.support.factories import assert_portfolio_balances
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.retries import assert_same, exit_all_path, exit_path, send
from tests.support.users import Trader

HOUR = 3_600.0
DAY = 24 * HOUR
LAST = {"at_last_price": True}
UNPRICED = "market_data_unavailable"


def open_three(trader: Trader, feed: ScriptedFeed, monitor: Monitor) -> dict[str, Any]:
    """Open trades in three symbols, each of which gains a rupee; return that in TCS."""
    feed.set("TCS.NS", 3_000)
    tcs: dict[str, Any] = trader.create_trade(symbol="TCS").get_json()
    trader.create_trade(symbol="RELIANCE", quantity=2)
    trader.create_trade()
    for symbol, price in {"TCS.NS": 3_001, "RELIANCE.NS": 1_401, "^NSEI": 25_001}.items():
        feed.tick(symbol, price)
    monitor.run_once()
    return tcs


def test_exit_all_closes_those_that_have_a_price_and_names_the_rest(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    tcs = open_three(alice, feed, monitor)
    feed.set("TCS.NS", 0)
    clock.advance(60)

    answer = alice.post(exit_all_path(alice))

    assert answer.status_code == 200
    assert answer.get_json() == {
        "message": "2 of 3 trades exited",
        "count": 2,
        "cancelled": 0,
        "queued": [],
        "total_pnl": 3.0,
        "not_exited": [{"trade_id": tcs["trade_id"], "symbol": "TCS.NS", "code": UNPRICED}],
    }
    assert [trade["symbol"] for trade in alice.trades("?status=ACTIVE")] == ["TCS.NS"]
    assert_portfolio_balances(alice.client_id)


def test_a_retry_of_exit_all_names_the_same_rest_when_that_has_a_price_again(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    open_three(alice, feed, monitor)
    feed.set("TCS.NS", 0)
    clock.advance(60)
    first = send(alice, exit_all_path(alice), "k")
    feed.set("TCS.NS", 3_002)

    assert first.get_json()["count"] == 2
    assert_same(send(alice, exit_all_path(alice), "k"), first)
    assert [trade["symbol"] for trade in alice.trades("?status=ACTIVE")] == ["TCS.NS"]
    second = send(alice, exit_all_path(alice), "another").get_json()
    assert (second["count"], second["total_pnl"], second["not_exited"]) == (1, 2.0, [])
    assert_invariants(alice.client_id)


# Tuesday, 24 November 2026, is a holiday.
@pytest.mark.parametrize("hours", [0.1, 3, 24, 47.9])
def test_the_last_price_is_refused_within_a_trading_day(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor, hours: float
) -> None:
    tcs = open_three(alice, feed, monitor)
    feed.set("TCS.NS", 0)
    clock.advance(hours * HOUR)

    assert_error(alice.post(exit_path(tcs)), 503, UNPRICED)
    details = assert_error(alice.post(exit_path(tcs), LAST), 409, "last_price_too_early")
    assert (details["symbol"], details["last_price"]) == ("TCS.NS", 3_001.0)
    assert details["last_seen"] == "2026-11-23T04:00:00.000Z"
    assert len(alice.trades("?status=ACTIVE")) == 3


def test_nights_and_weekends_are_no_trading_day(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    clock.advance(4 * DAY + 5 * HOUR)  # Friday, 14:30 in India
    tcs = open_three(alice, feed, monitor)
    feed.set("TCS.NS", 0)
    clock.advance(2.5 * DAY)

    assert_error(alice.post(exit_path(tcs), LAST), 409, "last_price_too_early")


@pytest.mark.parametrize("days", [2, 30])
def test_after_a_trading_day_without_a_price_a_trade_is_exited_at_its_last_one(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor, days: int
) -> None:
    tcs = open_three(alice, feed, monitor)
    feed.set("TCS.NS", 0)
    clock.advance(days * DAY)

    assert_error(alice.post(exit_path(tcs)), 503, UNPRICED)
    answer = send(alice, exit_path(tcs), "k", LAST)

    exited = {"message": "Trade exited", "pnl": 1.0, "exit_price": 3_001.0}
    assert answer.get_json() == {**exited, "quantity": 1, "open_quantity": 0}
    assert_same(send(alice, exit_path(tcs), "k", LAST), answer)
    (trade,) = alice.trades("?symbol=TCS")
    assert (trade["status"], trade["settled_from"]) == ("CLOSED", "last_price")
    event = alice.notifications()[0]
    assert event["data"]["settled_from"] == "last_price"
    assert event["data"]["quote"]["timestamp"] == "2026-11-23T04:00:00.000Z"
    assert "at its last known price, ₹3,001.00:" in event["message"]
    assert_portfolio_balances(alice.client_id)


def test_a_share_that_has_a_price_is_exited_at_that_whatever_is_asked_for(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    tcs = open_three(alice, feed, monitor)
    clock.advance(2 * DAY)
    feed.set("TCS.NS", 3_005)

    assert alice.post(exit_path(tcs), LAST).get_json()["exit_price"] == 3_005.0
    assert alice.trades("?symbol=TCS")[0]["settled_from"] is None


def test_exit_all_also_uses_last_prices(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    open_three(alice, feed, monitor)
    feed.set("TCS.NS", 0)
    clock.advance(2 * DAY)
    for symbol, price in {"RELIANCE.NS": 1_401, "^NSEI": 25_001}.items():
        feed.set(symbol, price)

    answer = alice.post(exit_all_path(alice), LAST).get_json()
    assert (answer["count"], answer["total_pnl"], answer["not_exited"]) == (3, 4.0, [])
    origins = {trade["symbol"]: trade["settled_from"] for trade in alice.trades()}
    assert origins == {"TCS.NS": "last_price", "RELIANCE.NS": None, "^NSEI": None}


@pytest.mark.parametrize("body", [{"at_last_price": "true"}, {"at_last_price": 1}])
def test_at_last_price_is_true_or_false(alice: Trader, body: dict[str, Any]) -> None:
    trade = alice.create_trade().get_json()
    details = assert_error(alice.post(exit_path(trade), body), 400, "validation_error")
    assert set(details) == {"at_last_price"}


def test_a_trade_opened_at_a_real_price_has_a_real_last_price_after_a_restart(
    app: Flask,
    alice: Trader,
    feed: ScriptedFeed,
    clock: ManualClock,
    mongo_uri: str,
    make_settings: Callable[..., Settings],
) -> None:
    monitor = Monitor(app)
    feed.source = Source.YAHOO
    feed.set("TCS.NS", 3_000)
    tcs = alice.create_trade(symbol="TCS").get_json()
    feed.tick("TCS.NS", 3_001)
    monitor.run_once()
    feed.source = Source.MOCK
    clock.advance(2 * DAY)
    feed.tick("TCS.NS", 2_990)
    monitor.run_once()
    assert mongo.cx is not None
    mongo.cx.close()
    restarted = create_app(
        make_settings(MARKET_HOURS="ignore"), mongo_uri=mongo_uri, feed=feed, clock=clock
    )
    alice.client = restarted.test_client()

    assert_error(alice.post(exit_path(tcs)), 503, UNPRICED)
    assert alice.post(exit_path(tcs), LAST).get_json()["exit_price"] == 3_001.0


@pytest.fixture
def thin(feed: ScriptedFeed, clock: ManualClock) -> ScriptedFeed:
    """A market in which TCS was traded at 11:00 last, and it is 15:14."""
    feed.source = Source.YAHOO
    clock.advance(1.5 * HOUR)
    feed.set("TCS.NS", 3_000)
    clock.advance(4 * HOUR + 14 * 60)
    return feed


def test_no_order_is_taken_at_an_old_price_and_its_age_and_limit_are_named(
    alice: Trader, thin: ScriptedFeed
) -> None:
    assert alice.client.get("/market/live/TCS").get_json()["price"] == 3_000.0

    details = assert_error(alice.create_trade(symbol="TCS"), 409, "price_too_old")
    assert details == {
        "symbol": "TCS.NS",
        "price": 3_000.0,
        "price_time": "2026-11-23T05:30:00.000Z",
        "age_seconds": 15_240,
        "limit_seconds": 1_230,
    }
    assert alice.trades() == []


def test_an_order_is_taken_again_at_the_next_trade(
    alice: Trader, thin: ScriptedFeed, monitor: Monitor
) -> None:
    assert_error(alice.create_trade(symbol="TCS"), 409, "price_too_old")
    thin.set("TCS.NS", 3_010)
    assert alice.create_trade(symbol="TCS").get_json()["entry_price"] == 3_010.0


def test_a_trade_is_exited_at_the_last_traded_price_however_old(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock
) -> None:
    feed.source = Source.YAHOO
    clock.advance(1.5 * HOUR)
    feed.set("TCS.NS", 3_000)
    one, other = (alice.create_trade(symbol="TCS").get_json() for _ in range(2))
    clock.advance(1)
    feed.set("TCS.NS", 2_999)
    clock.advance(4 * HOUR)

    (listed, _) = alice.trades()
    assert (listed["last_price"], listed["stale"]) == (2_999.0, True)
    assert alice.post(exit_path(one)).get_json()["exit_price"] == 2_999.0
    assert alice.post(exit_all_path(alice)).get_json()["count"] == 1
    assert {trade["settled_from"] for trade in alice.trades()} == {None}
    assert one["trade_id"] != other["trade_id"]
