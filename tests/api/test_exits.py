"""Exiting trades: one, and all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.domain.quote import Source
from app.monitor import Monitor
from tests.support.factories import assert_portfolio_balances, trades_of
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error, assert_shape, money, text, whole
from tests.support.users import Trader, sign_up

EXITED = {
    "message": text,
    "pnl": money,
    "exit_price": money,
    "quantity": whole,
    "open_quantity": whole,
}
ALL_EXITED = {
    "message": text,
    "total_pnl": money,
    "count": whole,
    "cancelled": whole,
    "queued": lambda value: isinstance(value, list),
    "not_exited": lambda value: isinstance(value, list),
}


def all_exited(count: int, total_pnl: float) -> dict[str, Any]:
    message = "All trades exited"
    counts = {"count": count, "cancelled": 0, "queued": [], "not_exited": []}
    return {"message": message, "total_pnl": total_pnl, **counts}


def move(feed: ScriptedFeed, monitor: Monitor, symbol: str, price: str | int) -> None:
    feed.tick(symbol, price)
    monitor.run_once()


@pytest.mark.parametrize(("side", "pnl"), [("BUY", 25.5), ("SELL", -25.5)])
def test_exiting_realizes_the_pnl_at_the_latest_price(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock, side: str, pnl: float
) -> None:
    trade = alice.create_trade(trade_type=side, quantity=10).get_json()
    clock.advance(5)
    move(feed, monitor, "^NSEI", "25002.55")
    answer = alice.post(f"/trades/exit/{trade['trade_id']}", {})

    assert answer.status_code == 200
    assert_shape(answer.get_json(), EXITED)
    exited = {"message": "Trade exited", "pnl": pnl, "exit_price": 25_002.55}
    assert answer.get_json() == {**exited, "quantity": 10, "open_quantity": 0}
    (closed,) = alice.trades()
    assert (closed["status"], closed["exit_reason"]) == ("CLOSED", "user")
    assert (closed["exit_price"], closed["pnl"]) == (25_002.55, pnl)
    assert closed["closed_at"] == "2026-11-23T04:00:05.000Z"
    assert closed["margin_used"] == 50_000.0
    portfolio = alice.portfolio()
    assert portfolio["available_margin"] == 100_000.0 + pnl
    assert (portfolio["utilized_margin"], portfolio["total_pnl"]) == (0.0, pnl)
    assert_portfolio_balances(alice.client_id)


def test_the_body_may_be_missing_and_may_hold_nothing_else(alice: Trader) -> None:
    path = f"/trades/exit/{alice.create_trade().get_json()['trade_id']}"

    assert_error(alice.post(path, {"exit_price": 99_999}), 400, "validation_error")
    assert alice.post(path).status_code == 200


def test_a_trade_is_exited_once_and_says_how_it_ended(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    path = f"/trades/exit/{alice.create_trade(quantity=2).get_json()['trade_id']}"
    move(feed, monitor, "^NSEI", 25_001)
    alice.post(path)

    details = assert_error(alice.post(path), 409, "trade_not_active")
    assert (details["status"], details["pnl"]) == ("CLOSED", 2.0)
    assert (details["trade"]["status"], details["trade"]["exit_price"]) == ("CLOSED", 25_001.0)
    assert_portfolio_balances(alice.client_id)


def test_one_that_was_closed_at_its_stop_says_so(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(stop_loss=24_990).get_json()
    move(feed, monitor, "^NSEI", 24_980)

    details = assert_error(alice.post(f"/trades/exit/{trade['trade_id']}"), 409, "trade_not_active")
    assert (details["status"], details["pnl"]) == ("STOP_LOSS_HIT", -20.0)


def test_anothers_trade_is_as_unknown_as_one_that_never_was(alice: Trader, bob: Trader) -> None:
    trade = alice.create_trade().get_json()

    hers = bob.post(f"/trades/exit/{trade['trade_id']}")
    nobodys = bob.post("/trades/exit/6564f0c0c0c0c0c0c0c0c0c0")
    assert_error(hers, 404, "trade_not_found")
    assert_error(nobodys, 404, "trade_not_found")
    assert hers.get_json()["error"] == nobodys.get_json()["error"]
    assert alice.trades()[0]["status"] == "ACTIVE"


@pytest.mark.parametrize(
    "bad", ["x", "123", "%24ne", "g" * 24, "0" * 23, "0" * 25, "%00", "a" * 12]
)
def test_a_bad_id_is_a_404(carol: Trader, bad: str) -> None:
    assert_error(carol.post(f"/trades/exit/{bad}"), 404, "trade_not_found")


def test_exiting_all_closes_every_active_trade_of_the_user_alone(
    alice: Trader, bob: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    alice.create_trade(quantity=2)
    alice.create_trade(trade_type="SELL", quantity=3)
    alice.create_trade(symbol="RELIANCE", quantity=10)
    gone = alice.create_trade().get_json()
    alice.post(f"/trades/exit/{gone['trade_id']}")
    bob.create_trade()
    move(feed, monitor, "^NSEI", 25_010)
    move(feed, monitor, "RELIANCE.NS", "1401.50")

    answer = alice.post(f"/trades/exit-all/{alice.client_id}", {})

    assert answer.status_code == 200
    assert_shape(answer.get_json(), ALL_EXITED)
    assert answer.get_json() == all_exited(3, 5.0)
    assert {trade["status"] for trade in alice.trades()} == {"CLOSED"}
    assert bob.trades()[0]["status"] == "ACTIVE"
    assert alice.portfolio()["available_margin"] == 100_005.0
    assert_portfolio_balances(alice.client_id)
    assert_portfolio_balances(bob.client_id)


def test_exit_all_without_active_trades_succeeds(alice: Trader, carol: Trader) -> None:
    for trader in (alice, carol):
        answer = trader.post(f"/trades/exit-all/{trader.client_id}")
        assert answer.status_code == 200
        assert answer.get_json() == all_exited(0, 0.0)


def test_exiting_all_of_another_is_forbidden(alice: Trader, bob: Trader) -> None:
    alice.create_trade()

    assert_error(bob.post(f"/trades/exit-all/{alice.client_id}"), 403, "forbidden")
    assert alice.trades()[0]["status"] == "ACTIVE"


@pytest.mark.parametrize("real", [Source.YAHOO, Source.ANGEL_ONE])
def test_a_trade_opened_at_a_real_price_is_not_exited_at_a_mock_one(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, real: Source
) -> None:
    feed.source = real
    move(feed, monitor, "^NSEI", 25_000)
    trade = alice.create_trade(stop_loss=24_000).get_json()
    feed.source = Source.MOCK
    move(feed, monitor, "^NSEI", 23_000)

    answer = alice.post(f"/trades/exit/{trade['trade_id']}")
    details = assert_error(answer, 503, "market_data_unavailable")
    assert (details["last_price"], details["symbol"]) == (25_000.0, "^NSEI")
    assert int(answer.headers["Retry-After"]) > 0
    left = {"trade_id": trade["trade_id"], "symbol": "^NSEI", "code": "market_data_unavailable"}
    answer = alice.post(f"/trades/exit-all/{alice.client_id}")
    assert (answer.status_code, answer.get_json()["count"]) == (200, 0)
    assert answer.get_json()["not_exited"] == [left]
    assert alice.trades()[0]["status"] == "ACTIVE"

    feed.source = real
    move(feed, monitor, "^NSEI", 25_100)
    assert alice.post(f"/trades/exit/{trade['trade_id']}").get_json()["pnl"] == 100.0
    assert_portfolio_balances(alice.client_id)


def test_the_reason_of_an_exit_is_stored_with_the_trade(make_app: Callable[..., Flask]) -> None:
    trader = sign_up(make_app().test_client())
    trader.open_portfolio()
    trader.create_trade()
    trader.post(f"/trades/exit-all/{trader.client_id}")

    (trade,) = trades_of(trader.client_id)
    assert trade.exit is not None
    assert trade.exit.quote.source is Source.MOCK
    assert trade.exit.quote.timestamp.isoformat() == "2026-11-23T04:00:00+00:00"
