"""A 409 about a trade shows the trade in `details.trade` as reading it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.monitor import Monitor
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import TRADE, assert_error
from tests.support.retries import exit_path, send
from tests.support.users import Trader

Request = Callable[[Trader, dict[str, Any]], TestResponse]


def modify(**terms: Any) -> Request:
    return lambda trader, trade: trader.patch(path_of(trader, trade), terms)


def exit_part(trader: Trader, trade: dict[str, Any]) -> TestResponse:
    return send(trader, exit_path(trade), body={"quantity": 5})


def exit_trade(trader: Trader, trade: dict[str, Any]) -> TestResponse:
    return send(trader, exit_path(trade))


def cancel(trader: Trader, trade: dict[str, Any]) -> TestResponse:
    return send(trader, f"/trades/cancel/{trade['trade_id']}")


def path_of(trader: Trader, trade: dict[str, Any]) -> str:
    return f"/trades/{trader.client_id}/{trade['trade_id']}"


@pytest.fixture
def rise(clock: ManualClock, feed: ScriptedFeed, monitor: Monitor) -> None:
    """Let the best price of NIFTY be 25,100, and its last one 25,050."""
    clock.advance(10)
    feed.tick("^NSEI", 25_100)
    feed.tick("^NSEI", 25_050)
    monitor.run_once()


@pytest.mark.parametrize(
    ("request_of", "code"),
    [
        (cancel, "not_pending"),
        (modify(quantity=2), "not_pending"),
        (modify(stop_loss=24_000, version=7), "changed_meanwhile"),
        (exit_part, "quantity_not_held"),
    ],
)
def test_a_conflict_shows_an_active_trade_as_reading_it_does(
    alice: Trader, request_of: Request, code: str, request: pytest.FixtureRequest
) -> None:
    terms = {"trailing_offset": 200, "target_price": 26_000, "client_order_id": "mine"}
    trade = alice.create_trade(quantity=4, **terms).get_json()
    request.getfixturevalue("rise")
    send(alice, exit_path(trade), body={"quantity": 1})

    details = assert_error(request_of(alice, trade), 409, code)

    shown = alice.get(path_of(alice, trade)).get_json()
    assert details["trade"] == shown
    assert TRADE.keys() <= shown.keys()
    assert (shown["trailing_stop"], shown["best_price"]["price"]) == (24_900.0, 25_100.0)
    assert (shown["unrealized_pnl"], len(shown["fills"])) == (150.0, 2)


@pytest.mark.parametrize(
    ("request_of", "code"),
    [(exit_trade, "trade_not_active"), (modify(stop_loss=24_000), "trade_ended")],
)
def test_a_conflict_shows_a_closed_trade_as_reading_it_does(
    alice: Trader, request_of: Request, code: str
) -> None:
    trade = alice.create_trade(trailing_pct=1).get_json()
    send(alice, exit_path(trade))

    details = assert_error(request_of(alice, trade), 409, code)

    assert details["trade"] == alice.get(path_of(alice, trade)).get_json()
    assert details["trade"]["exit_quote"]["price"] == 25_000.0


def test_a_conflict_shows_an_order_that_waits_as_reading_it_does(alice: Trader) -> None:
    terms = {"order_type": "LIMIT", "limit_price": 24_900, "trailing_offset": 50}
    trade = alice.create_trade(**terms, time_in_force="DAY").get_json()

    details = assert_error(exit_trade(alice, trade), 409, "trade_not_active")

    assert details["trade"] == alice.get(path_of(alice, trade)).get_json()
    assert (details["status"], details["trade"]["time_in_force"]) == ("PENDING", "DAY")
