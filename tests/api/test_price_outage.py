"""Reads during an outage of the price source return immediately, with the last known prices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from app import create_app
from app.extensions import mongo
from app.monitor import Monitor
from config import Settings
from tests.support.market import ManualClock, RemoteFeed
from tests.support.users import Trader

SHARES = ("RELIANCE", "TCS", "INFY", "HDFCBANK", "ICICIBANK", "SBIN", "ITC", "LT")


@pytest.fixture
def feed(clock: ManualClock) -> RemoteFeed:
    return RemoteFeed(clock)


def open_in_each_share(trader: Trader, feed: RemoteFeed, clock: ManualClock, app: Flask) -> None:
    """Open two trades in each share, see one price of each, and lose the source."""
    for number, share in enumerate(SHARES):
        feed.set(f"{share}.NS", 100 + number)
        for _ in range(2):
            assert trader.create_trade(symbol=share).status_code == 201
    clock.advance(2)
    for number, share in enumerate(SHARES):
        feed.tick(f"{share}.NS", 101 + number)
    Monitor(app).run_once()
    feed.is_away = True
    feed.asked.clear()
    feed.waits = 0


def test_trades_in_many_shares_are_listed_at_their_last_prices_and_the_source_is_not_asked(
    app: Flask, alice: Trader, feed: RemoteFeed, clock: ManualClock
) -> None:
    open_in_each_share(alice, feed, clock, app)
    clock.advance(30)
    assert {trade["stale"] for trade in alice.trades()} == {False}
    clock.advance(0.5)

    trades = alice.trades()

    assert len(trades) == 16
    assert [trade["last_price"] for trade in trades[::-2]] == [101.0 + n for n in range(8)]
    assert {trade["unrealized_pnl"] for trade in trades} == {1.0}
    assert {trade["price_time"] for trade in trades} == {"2026-11-23T04:00:02.000Z"}
    assert {trade["stale"] for trade in trades} == {True}
    assert feed.asked == []


def test_performance_is_worked_out_from_the_last_prices_and_the_source_is_not_asked(
    app: Flask, alice: Trader, feed: RemoteFeed, clock: ManualClock
) -> None:
    open_in_each_share(alice, feed, clock, app)
    clock.advance(60)

    body = alice.get(f"/trades/performance/{alice.client_id}").get_json()

    assert (body["active_pnl"], body["unpriced_symbols"]) == (16.0, [])
    assert (body["stale"], body["price_time"]) == (True, "2026-11-23T04:00:02.000Z")
    assert sorted(body["stale_symbols"]) == sorted(f"{share}.NS" for share in SHARES)
    assert feed.asked == []


def test_after_a_restart_the_last_prices_of_the_run_before_are_known(
    app: Flask,
    alice: Trader,
    feed: RemoteFeed,
    clock: ManualClock,
    mongo_uri: str,
    make_settings: Callable[..., Settings],
) -> None:
    open_in_each_share(alice, feed, clock, app)
    assert mongo.cx is not None
    mongo.cx.close()
    clock.advance(3)
    restarted = create_app(make_settings(), mongo_uri=mongo_uri, feed=feed, clock=clock)
    alice.client = restarted.test_client()

    trades = alice.trades()
    assert [trade["last_price"] for trade in trades[::-2]] == [101.0 + n for n in range(8)]
    assert {trade["stale"] for trade in trades} == {False}
    clock.advance(60)
    assert {trade["stale"] for trade in alice.trades()} == {True}
    assert feed.asked == []


def test_a_share_that_never_had_a_price_is_listed_without_one(
    app: Flask,
    alice: Trader,
    feed: RemoteFeed,
    clock: ManualClock,
    mongo_uri: str,
    make_settings: Callable[..., Settings],
) -> None:
    feed.set("TCS.NS", 100)
    alice.create_trade(symbol="TCS")
    feed.is_away = True
    restarted = create_app(make_settings(), mongo_uri=mongo_uri, feed=feed, clock=clock)
    alice.client = restarted.test_client()

    (trade,) = alice.trades()
    fields = ("last_price", "price_time", "stale", "unrealized_pnl")
    assert [trade[each] for each in fields] == [None] * 4
    body = alice.get(f"/trades/performance/{alice.client_id}").get_json()
    assert (body["active_pnl"], body["price_time"]) == (0.0, None)
    assert body["unpriced_symbols"] == ["TCS.NS"]


def test_exit_all_waits_once_for_all_its_symbols(
    app: Flask, alice: Trader, feed: RemoteFeed, clock: ManualClock
) -> None:
    open_in_each_share(alice, feed, clock, app)
    clock.advance(60)

    answer = alice.post(f"/trades/exit-all/{alice.client_id}").get_json()

    assert (answer["count"], len(answer["not_exited"])) == (0, 16)
    assert feed.waits == 1
    assert sorted(feed.asked) == sorted(f"{share}.NS" for share in SHARES)


def test_a_preview_values_an_order_at_the_last_price_and_says_why_none_is_taken(
    app: Flask, alice: Trader, feed: RemoteFeed, clock: ManualClock
) -> None:
    open_in_each_share(alice, feed, clock, app)
    clock.advance(60)
    order = {"symbol": "TCS", "trade_type": "BUY", "quantity": 1, "stop_loss": 101}

    body = alice.post("/trades/preview", order).get_json()

    assert [problem["code"] for problem in body["problems"]] == ["market_data_unavailable"]
    assert [warning["code"] for warning in body["warnings"]] == ["price_stale"]
    assert (body["entry_price"], body["loss_at_stop"]) == (102.0, 1.0)
    assert alice.post("/trades/create", order).get_json()["code"] == "market_data_unavailable"
