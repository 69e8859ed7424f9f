"""One trade by its id, and the errors of similar paths."""

from __future__ import annotations

import pytest

from app.domain.quote import Source
from app.monitor import Monitor
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import OBJECT_ID, TRADE, assert_error, assert_shape
from tests.support.users import Trader


def test_an_active_trade_has_its_last_price_and_the_quote_that_opened_it(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(quantity=2, stop_loss=24_000).get_json()
    feed.tick("^NSEI", 25_001)
    monitor.run_once()

    answer = alice.get(f"/trades/{alice.client_id}/{trade['trade_id']}")

    assert answer.status_code == 200
    body = answer.get_json()
    (listed,) = alice.trades()
    assert {name: body[name] for name in TRADE} == listed
    assert (body["last_price"], body["unrealized_pnl"], body["stale"]) == (25_001.0, 2.0, False)
    quote = {"price": 25_000.0, "source": "mock", "timestamp": "2026-11-23T04:00:00.000Z"}
    assert (body["entry_quote"], body["exit_quote"]) == (quote, None)
    assert_shape({name: body[name] for name in TRADE}, TRADE)


def test_a_closed_trade_has_the_quote_that_closed_it(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    trade = alice.create_trade(stop_loss=24_990).get_json()
    clock.advance(5)
    feed.source = Source.YAHOO
    feed.tick("^NSEI", 24_980)
    monitor.run_once()

    body = alice.get(f"/trades/{alice.client_id}/{trade['trade_id']}").get_json()

    assert (body["status"], body["last_price"], body["price_time"]) == ("STOP_LOSS_HIT", None, None)
    quote = {"price": 24_980.0, "source": "yahoo", "timestamp": "2026-11-23T04:00:05.000Z"}
    assert body["exit_quote"] == quote


def test_anothers_trade_is_unknown_and_another_user_forbidden(alice: Trader, bob: Trader) -> None:
    trade_id = alice.create_trade().get_json()["trade_id"]

    assert_error(bob.get(f"/trades/{bob.client_id}/{trade_id}"), 404, "trade_not_found")
    assert_error(bob.get(f"/trades/{alice.client_id}/{trade_id}"), 403, "forbidden")


@pytest.mark.parametrize("bad", ["x", "g" * 24, "0" * 24, "%00", "%24ne"])
def test_a_bad_id_is_a_404(alice: Trader, bad: str) -> None:
    assert_error(alice.get(f"/trades/{alice.client_id}/{bad}"), 404, "trade_not_found")


def test_the_id_of_a_trade_in_place_of_a_user_is_pointed_to_its_address(alice: Trader) -> None:
    trade_id = alice.create_trade().get_json()["trade_id"]
    assert OBJECT_ID.fullmatch(trade_id)

    answer = alice.get(f"/trades/{trade_id}")
    assert_error(answer, 403, "forbidden")
    assert "GET /trades/<user_id>/<trade_id>" in answer.get_json()["error"]
    other = alice.get("/trades/another-user")
    assert_error(other, 403, "forbidden")
    assert "trade_id" not in other.get_json()["error"]
