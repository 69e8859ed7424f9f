"""Entries that wait for a price: placing them, their fills, and the margin that they block."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.events import events_committed
from app.models import Notification
from app.monitor import Monitor
from app.services import services
from tests.support.database_state import assert_invariants, documents
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import TRADE, assert_error, assert_shape
from tests.support.retries import assert_same, create, send_concurrently
from tests.support.users import Trader

# NIFTY is at 25,000. The prices of each type and side that wait, and a tick that reaches them.
WAITING: dict[str, tuple[dict[str, Any], int, float]] = {
    "BUY LIMIT": ({"limit_price": 24_900}, 24_850, 24_900.0),
    "SELL LIMIT": ({"limit_price": 25_100}, 25_150, 25_100.0),
    "BUY STOP": ({"stop_price": 25_100}, 25_150, 25_150.0),
    "SELL STOP": ({"stop_price": 24_900}, 24_850, 24_850.0),
    "BUY STOP_LIMIT": ({"stop_price": 25_100, "limit_price": 25_200}, 25_150, 25_150.0),
    "SELL STOP_LIMIT": ({"stop_price": 24_900, "limit_price": 24_800}, 24_850, 24_850.0),
}


def waiting(kind: str, **changes: Any) -> dict[str, Any]:
    """Return the fields of an order of this side and type."""
    side, order_type = kind.split()
    return {"trade_type": side, "order_type": order_type, **WAITING[kind][0], **changes}


@pytest.mark.parametrize("kind", WAITING)
def test_an_entry_waits_for_its_price_and_is_filled_there(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock, kind: str
) -> None:
    prices, tick, entry_price = WAITING[kind]
    answer = alice.create_trade(**waiting(kind, quantity=2))

    assert answer.status_code == 201, answer.text
    placed = answer.get_json()
    assert_shape(placed, TRADE)
    assert (placed["status"], placed["entry_price"]) == ("PENDING", None)
    blocked = 2 * 0.2 * (prices.get("limit_price") or prices["stop_price"])
    assert placed["margin_used"] == alice.portfolio()["utilized_margin"] == blocked
    assert_invariants(alice.client_id)

    clock.advance(10)
    monitor.run_once()
    assert alice.trades()[0]["status"] == "PENDING"

    clock.advance(10)
    feed.tick("^NSEI", tick)
    monitor.run_once()

    filled = alice.get(f"/trades/{alice.client_id}/{placed['trade_id']}").get_json()
    assert (filled["status"], filled["entry_price"]) == ("ACTIVE", entry_price)
    assert filled["entry_quote"]["price"] == tick
    assert filled["filled_at"] is not None
    assert filled["margin_used"] == alice.portfolio()["utilized_margin"]
    assert filled["margin_used"] == pytest.approx(2 * 0.2 * entry_price)
    assert_invariants(alice.client_id)


def test_the_events_of_an_entry_tell_its_placing_and_its_fill(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    body = waiting("BUY LIMIT", stop_loss=24_000, target_price=26_000)
    trade = alice.create_trade(**body).get_json()
    clock.advance(10)
    feed.tick("^NSEI", 24_850)
    monitor.run_once()

    filled, placed = alice.notifications()

    assert placed["type"] == "trade_created"
    assert placed["message"] == (
        "Placed a LIMIT order to buy 1 ^NSEI at ₹24,900.00 with stop-loss ₹24,000.00 and target "
        "₹26,000.00."
    )
    assert placed["data"] == {
        "trade_id": trade["trade_id"],
        "portfolio": "default",
        "user_id": alice.client_id,
        "symbol": "^NSEI",
        "trade_type": "BUY",
        "quantity": 1,
        "entry_price": None,
        "stop_loss": 24_000.0,
        "target_price": 26_000.0,
        "status": "PENDING",
        "created_at": trade["created_at"],
        "margin_used": 4_980.0,
        "available_margin": 95_020.0,
        "order_type": "LIMIT",
        "limit_price": 24_900.0,
        "stop_price": None,
        "time_in_force": "GTC",
        "expires_at": trade["expires_at"],
        "oco_id": None,
        "split_from": None,
        "queued_for": None,
    }
    assert filled["type"] == "trade_filled"
    assert filled["data"]["entry_price"] == 24_900.0
    assert filled["data"]["quote"]["price"] == 24_850.0


def test_a_limit_that_the_price_has_reached_is_filled_at_the_quote(
    alice: Trader,
) -> None:
    trade = alice.create_trade(order_type="LIMIT", limit_price=25_200).get_json()

    assert (trade["status"], trade["entry_price"]) == ("ACTIVE", 25_000.0)
    assert (trade["order_type"], trade["limit_price"]) == ("LIMIT", 25_200.0)
    assert (trade["expires_at"], trade["filled_at"]) == (None, None)
    assert trade["margin_used"] == 5_000.0
    assert [event["type"] for event in alice.notifications()] == ["trade_created"]
    assert_invariants(alice.client_id)


@pytest.mark.parametrize(("side", "stop"), [("BUY", 25_000), ("BUY", 24_000), ("SELL", 25_000)])
def test_a_stop_that_the_price_has_reached_is_refused(alice: Trader, side: str, stop: int) -> None:
    answer = alice.create_trade(trade_type=side, order_type="STOP", stop_price=stop)

    assert assert_error(answer, 400, "would_trigger_immediately")["given"] == stop
    assert alice.trades() == []


def test_a_stop_limit_beyond_its_limit_is_triggered_and_waits_also_after_a_restart(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock, app: Flask
) -> None:
    alice.create_trade(**waiting("BUY STOP_LIMIT"))
    clock.advance(10)
    feed.tick("^NSEI", 25_500)
    monitor.run_once()

    (trade,) = alice.trades()
    assert (trade["status"], trade["version"]) == ("PENDING", 1)
    assert trade["triggered_at"] is not None
    event = alice.notifications()[0]
    assert event["type"] == "trade_triggered"
    assert event["data"]["quote"]["price"] == 25_500.0

    restarted = Monitor(app)
    clock.advance(10)
    feed.tick("^NSEI", 25_200)
    restarted.run_once()

    (trade,) = alice.trades()
    assert (trade["status"], trade["entry_price"]) == ("ACTIVE", 25_200.0)
    assert_invariants(alice.client_id)


def test_a_fill_and_an_exit_in_one_pass_happen_in_their_order(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    alice.create_trade(**waiting("BUY LIMIT", stop_loss=24_800, target_price=25_000))
    clock.advance(10)
    feed.tick("^NSEI", 25_100)
    feed.tick("^NSEI", 24_900)
    feed.tick("^NSEI", 25_050)
    monitor.run_once()

    (trade,) = alice.trades()
    assert (trade["status"], trade["pnl"]) == ("TARGET_HIT", 100.0)
    types = [event["type"] for event in alice.notifications()]
    assert types == ["trade_auto_closed", "trade_filled", "trade_created"]
    assert_invariants(alice.client_id)


@pytest.mark.parametrize(
    ("body", "field", "fault"),
    [
        ({"order_type": "LIMIT"}, "limit_price", "is required for LIMIT"),
        ({"order_type": "STOP"}, "stop_price", "is required for STOP"),
        ({"order_type": "STOP_LIMIT", "stop_price": 26_000}, "limit_price", "is required"),
        ({"limit_price": 24_000}, "limit_price", "does not belong to MARKET"),
        ({"order_type": "STOP", "stop_price": 26_000, "limit_price": 1}, "limit_price", "does not"),
        ({"time_in_force": "FOK"}, "time_in_force", "must be"),
        (
            {"order_type": "STOP", "stop_price": 26_000, "time_in_force": "IOC"},
            "time_in_force",
            "must be DAY or GTC for STOP",
        ),
    ],
)
def test_a_price_or_a_time_that_does_not_belong_to_the_type_is_refused(
    alice: Trader, body: dict[str, Any], field: str, fault: str
) -> None:
    details = assert_error(alice.create_trade(**body), 400, "validation_error")

    assert fault in details[field]


def test_levels_are_compared_with_the_price_of_the_entry(alice: Trader) -> None:
    body = waiting("BUY LIMIT")

    assert alice.create_trade(**body, stop_loss=24_800, target_price=24_950).status_code == 201
    refused = alice.create_trade(**body, stop_loss=24_950)
    assert assert_error(refused, 400, "wrong_side_of_price")["param"] == "stop_loss"


def test_margin_that_is_not_available_refuses_an_entry(alice: Trader) -> None:
    answer = alice.create_trade(**waiting("BUY LIMIT", quantity=21))

    details = assert_error(answer, 400, "insufficient_margin")
    assert details["required_margin"] == 104_580.0
    assert alice.portfolio()["utilized_margin"] == 0.0
    assert alice.trades() == []


def test_an_entry_is_rejected_if_its_margin_is_gone_at_the_fill(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    # It blocks 99,600 of 100,000; the gap makes it need 102,000.
    alice.create_trade(trade_type="BUY", order_type="STOP", stop_price=25_100, quantity=19)
    clock.advance(10)
    feed.tick("^NSEI", 27_000)
    monitor.run_once()

    (trade,) = alice.trades()
    assert (trade["status"], trade["end_reason"]) == ("REJECTED", "insufficient_margin")
    assert trade["entry_price"] is None
    assert alice.portfolio()["available_margin"] == 100_000.0
    event = alice.notifications()[0]
    assert (event["type"], event["data"]["margin_released"]) == ("trade_rejected", 95_380.0)
    assert_invariants(alice.client_id)


def test_immediate_or_cancel_is_filled_at_once_or_cancelled(alice: Trader) -> None:
    ioc = {"order_type": "LIMIT", "time_in_force": "IOC"}
    cancelled = alice.create_trade(**ioc, limit_price=24_900)
    filled = alice.create_trade(**ioc, limit_price=25_000)

    assert cancelled.status_code == filled.status_code == 201
    trade = cancelled.get_json()
    assert (trade["status"], trade["end_reason"]) == ("CANCELLED", "ioc")
    assert (trade["margin_used"], trade["closed_at"]) == (0.0, trade["created_at"])
    assert filled.get_json()["status"] == "ACTIVE"
    assert alice.portfolio()["utilized_margin"] == 5_000.0
    assert [event["type"] for event in alice.notifications()] == [
        "trade_created",
        "trade_cancelled",
    ]
    assert_invariants(alice.client_id)


def test_pending_trades_are_listed_and_are_no_position(
    alice: Trader,
) -> None:
    alice.create_trade(**waiting("BUY LIMIT"))
    alice.create_trade()

    (pending,) = alice.trades("?status=PENDING")
    assert (pending["order_type"], pending["unrealized_pnl"]) == ("LIMIT", None)
    performance = alice.get(f"/trades/performance/{alice.client_id}").get_json()
    assert performance["active_pnl"] == 0.0
    assert performance["margin_utilization_abs"] == 9_980.0
    positions = alice.get(f"/portfolio/{alice.client_id}/positions").get_json()["positions"]
    assert [position["quantity"] for position in positions] == [1]


def test_a_user_may_have_250_pending_trades(alice: Trader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.trades.placing.MAX_PENDING", 2)
    order = waiting("BUY LIMIT")
    assert alice.create_trade(**order).status_code == 201
    assert alice.create_trade(**order).status_code == 201

    details = assert_error(alice.create_trade(**order), 409, "too_many_pending")

    assert details["limit"] == 2
    assert len(alice.trades()) == 2
    # What is filled at once does not wait.
    assert alice.create_trade().status_code == 201
    assert_invariants(alice.client_id)


@pytest.mark.parametrize("kind", ["BUY LIMIT", "SELL STOP"])
@pytest.mark.parametrize("sent", [{"key": "k"}, {"client_order_id": "c"}])
def test_a_retry_gets_the_entry_as_it_was_placed(
    alice: Trader,
    feed: ScriptedFeed,
    monitor: Monitor,
    clock: ManualClock,
    kind: str,
    sent: dict[str, str],
) -> None:
    body = waiting(kind) | sent
    first = create(alice, **body)
    assert first.get_json()["status"] == "PENDING"
    clock.advance(10)
    feed.tick("^NSEI", WAITING[kind][1])
    monitor.run_once()
    assert alice.trades()[0]["status"] == "ACTIVE"

    retried = create(alice, **body)

    placed = first.get_json() | {"version": retried.get_json()["version"]}
    assert (retried.status_code, retried.get_json()) == (201, placed)
    assert len(alice.trades()) == 1


@pytest.mark.parametrize("limit_price", [24_900, 25_100])
def test_a_retry_of_an_immediate_order_gets_the_first_answer(
    alice: Trader, limit_price: int
) -> None:
    body = {"order_type": "LIMIT", "limit_price": limit_price, "time_in_force": "IOC"}

    assert_same(create(alice, "k", **body), create(alice, "k", **body))
    assert len(alice.trades()) == 1


def test_twenty_entries_at_once_block_only_what_there_is(alice: Trader) -> None:
    body = waiting("BUY LIMIT", quantity=4)

    answers = send_concurrently(lambda: create(alice, **body))

    # Each blocks 19,920 of 100,000.
    assert sorted(status for status, _ in answers) == [201] * 5 + [400] * 15
    assert alice.portfolio()["available_margin"] == 400.0
    assert_invariants(alice.client_id)


def test_one_order_sent_twenty_times_at_once_waits_once(alice: Trader) -> None:
    body = waiting("SELL LIMIT", client_order_id="c")

    answers = send_concurrently(lambda: create(alice, **body))

    ids = {answer["trade_id"] for status, answer in answers if status == 201}
    assert len(ids) == len(alice.trades()) == 1
    assert_invariants(alice.client_id)


def test_a_tick_between_the_quote_and_the_commit_fills_the_entry(
    app: Flask, alice: Trader, feed: ScriptedFeed
) -> None:
    def fall(_sender: object, events: list[Notification]) -> None:
        # The trade is committed, and not yet compared with the ticks that came in meanwhile.
        if events[0].type == "trade_created":
            services().quotes.update([feed.set("^NSEI", 24_850)])
            services().quotes.update([feed.set("^NSEI", 25_300)])

    with events_committed.connected_to(fall, sender=app):
        alice.create_trade(**waiting("BUY LIMIT", target_price=25_200))

    (trade,) = alice.trades()
    assert (trade["status"], trade["entry_price"]) == ("TARGET_HIT", 24_900.0)
    assert trade["exit_price"] == 25_200.0
    assert_invariants(alice.client_id)


def test_an_entry_marks_its_symbol_for_polling(alice: Trader) -> None:
    body = {"symbol": "RELIANCE", "order_type": "LIMIT", "limit_price": 1_390}
    assert alice.create_trade(**body).status_code == 201

    assert "RELIANCE.NS" in {each["_id"] for each in documents("symbols")}
