"""Trade updates: every event of a user reaches all of their sockets and no others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from app.monitor import Monitor
from app.server import start_workers
from tests.support.factories import assert_portfolio_balances
from tests.support.live import eventually
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.sockets import Socket
from tests.support.users import Trader, sign_up

Connect = Callable[..., Socket]


@pytest.fixture
def joined(connect: Connect) -> Callable[[Trader], Socket]:
    """Connect sockets that are in the room of their user."""

    def make(trader: Trader) -> Socket:
        socket = connect(trader.token)
        assert socket.call("join", {"user_id": trader.client_id})["ok"] is True
        return socket

    return make


Joined = Callable[[Trader], Socket]


def test_opening_a_trade_tells_everything_of_it(joined: Joined, alice: Trader) -> None:
    socket = joined(alice)
    trade = alice.create_trade(quantity=2, stop_loss=24_990.5).get_json()

    assert socket.next("trade_update") == {
        "event": "trade_created",
        "seq": 1,
        "data": {
            "trade_id": trade["trade_id"],
            "user_id": alice.client_id,
            "portfolio": "default",
            "symbol": "^NSEI",
            "trade_type": "BUY",
            "quantity": 2,
            "entry_price": 25_000.0,
            "stop_loss": 24_990.5,
            "target_price": None,
            "status": "ACTIVE",
            "created_at": trade["created_at"],
            "margin_used": 10_000.0,
            "available_margin": 90_000.0,
            "order_type": "MARKET",
            "limit_price": None,
            "stop_price": None,
            "time_in_force": None,
            "expires_at": None,
            "oco_id": None,
            "split_from": None,
            "queued_for": None,
        },
    }


def test_exiting_a_trade_tells_how_it_ended(
    joined: Joined, alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(trade_type="SELL", quantity=2).get_json()
    socket = joined(alice)
    feed.tick("^NSEI", "25001.25")
    monitor.run_once()
    alice.post(f"/trades/exit/{trade['trade_id']}")

    update = socket.next("trade_update")
    assert (update["event"], update["seq"]) == ("trade_exited", 2)
    data = update["data"]
    assert data["trade_id"] == trade["trade_id"]
    assert (data["exit_price"], data["pnl"]) == (25_001.25, -2.5)


@pytest.mark.parametrize(
    ("order", "price", "reason", "pnl"),
    [
        ({"trade_type": "BUY", "stop_loss": 24_990}, "24989.50", "stop_loss", -21.0),
        ({"trade_type": "BUY", "target_price": 25_010}, "25010.05", "target", 20.0),
        ({"trade_type": "SELL", "stop_loss": 25_010}, "25010.00", "stop_loss", -20.0),
        ({"trade_type": "SELL", "target_price": 24_990}, "24989.95", "target", 20.0),
    ],
)
def test_an_automatic_close_tells_the_payload_of_the_contract(
    joined: Joined,
    alice: Trader,
    feed: ScriptedFeed,
    monitor: Monitor,
    clock: ManualClock,
    order: dict[str, Any],
    price: str,
    reason: str,
    pnl: float,
) -> None:
    trade = alice.create_trade(quantity=2, **order).get_json()
    socket = joined(alice)
    clock.advance(7.25)
    feed.tick("^NSEI", price)
    monitor.run_once()

    assert socket.next("trade_update") == {
        "event": "trade_auto_closed",
        "seq": 2,
        "data": {
            "trade_id": trade["trade_id"],
            "portfolio": "default",
            "symbol": "^NSEI",
            "trade_type": order["trade_type"],
            "quantity": 2,
            "reason": reason,
            "exit_price": float(order.get("target_price", price)),
            "pnl": pnl,
            "quote": {
                "price": float(price),
                "source": "mock",
                "timestamp": "2026-11-23T04:00:07.250Z",
            },
        },
    }


def test_no_other_user_receives_it(
    joined: Joined, connect: Connect, alice: Trader, bob: Trader
) -> None:
    hers, his, anonymous = joined(alice), joined(bob), connect()
    not_joined = connect(alice.token)
    trade = alice.create_trade().get_json()
    alice.post(f"/trades/exit/{trade['trade_id']}")

    assert [each["seq"] for each in hers.rest("trade_update")] == [1, 2]
    for socket in (his, anonymous, not_joined):
        assert socket.rest("trade_update") == []


def test_seq_rises_by_one_for_each_event_of_the_user(
    joined: Joined, alice: Trader, bob: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    hers, his = joined(alice), joined(bob)
    for trader in (alice, bob, alice):
        trader.create_trade(stop_loss=24_000)
    alice.post("/notifications", {"event": "note", "message": "Hello"})
    feed.tick("^NSEI", 23_999)
    monitor.run_once()
    alice.create_trade(quantity=1, trade_type="SELL")
    alice.post(f"/trades/exit-all/{alice.client_id}")

    updates = hers.rest("trade_update")
    assert [each["seq"] for each in updates] == [1, 2, 3, 4, 5, 6, 7]
    assert [each["event"] for each in updates] == [
        "trade_created",
        "trade_created",
        "note",
        "trade_auto_closed",
        "trade_auto_closed",
        "trade_created",
        "trade_exited",
    ]
    assert updates[2]["data"] == {"message": "Hello"}
    assert [each["seq"] for each in his.rest("trade_update")] == [1, 2]
    assert [n["seq"] for n in alice.notifications()] == [7, 6, 5, 4, 3, 2, 1]


def test_two_sockets_of_one_user_both_get_every_event(
    joined: Joined, connect: Connect, alice: Trader
) -> None:
    one = joined(alice)
    other = connect(alice.token, transport="polling")
    other.call("join", {"user_id": alice.client_id})
    for _ in range(3):
        alice.create_trade()
    one.close()
    alice.create_trade()

    assert [each["seq"] for each in other.rest("trade_update")] == [1, 2, 3, 4]


def test_a_refused_order_makes_no_event(joined: Joined, alice: Trader) -> None:
    socket = joined(alice)
    alice.create_trade(quantity=1_000)
    alice.create_trade(stop_loss=26_000)

    assert socket.rest("trade_update") == []


@pytest.fixture
def workers(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    """An application with its monitor, fifty passes a second, and its outbox."""
    app = make_app(MONITOR_INTERVAL_SECONDS="0.02")
    before = set(threading.enumerate())
    started = start_workers(app)
    threads = set(threading.enumerate()) - before
    yield app
    for worker in started:
        worker.stop()
    for thread in threads:
        thread.join(15)


class TestWithTheWorkersOfAServer:
    @pytest.fixture
    def app(self, workers: Flask) -> Flask:
        return workers

    def test_a_trade_is_closed_and_told_without_anyone_asking(
        self, app: Flask, joined: Joined, feed: ScriptedFeed
    ) -> None:
        trader = sign_up(app.test_client())
        trader.open_portfolio()
        socket = joined(trader)
        trader.create_trade(stop_loss=24_990)
        socket.next("trade_update")
        socket.rest("live_price")

        feed.tick("^NSEI", 24_980)

        closed = socket.next("trade_update")
        assert closed["event"] == "trade_auto_closed"
        assert closed["data"]["pnl"] == -20.0
        assert socket.next("live_price")["price"] == 24_980.0
        assert_portfolio_balances(trader.client_id)
        # Without credentials each message is recorded, not sent.
        eventually(
            lambda: all(
                delivery["status"] == "recorded"
                for each in trader.notifications()
                for delivery in each["deliveries"]
            )
        )
