"""`live_prices`: the prices of a pass in one message, for sockets that ask for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.monitor import Monitor
from app.realtime.batches import send_batches
from app.realtime.connections import Connections
from app.sockets.waiting import MAX_WAITING_BYTES
from tests.support.live import eventually
from tests.support.market import ScriptedFeed
from tests.support.quotes import DETAILS
from tests.support.raw_sockets import RawPolling
from tests.support.sockets import Socket

Connect = Callable[..., Socket]
Pass = Callable[..., None]

# What prices rise from.
BASE = {"^NSEI": 25_000.0, "^BSESN": 80_000.0, "RELIANCE.NS": 1_400.0, "TCS.NS": 3_000.0}


@pytest.fixture
def batching(connect: Connect) -> Callable[..., Socket]:
    """Connect sockets that get `live_prices`, and have had their first prices."""

    def make(*symbols: str) -> Socket:
        socket = connect()
        assert socket.call("subscribe", {"symbols": list(symbols), "batch": True})["ok"]
        socket.rest("live_price")
        socket.rest("live_prices")
        return socket

    return make


@pytest.fixture
def run_pass(feed: ScriptedFeed, monitor: Monitor) -> Pass:
    """Make a pass of the monitor in which symbols have a price that is so much higher."""

    def run(rise: int, *symbols: str) -> None:
        for symbol, price in risen(rise, *symbols).items():
            feed.tick(symbol, str(price))
        monitor.run_once()

    return run


def risen(rise: int, *symbols: str) -> dict[str, float]:
    """Return the prices of symbols, or of all, after such a rise."""
    return {symbol: BASE[symbol] + rise for symbol in symbols or BASE}


def batches(socket: Socket) -> list[dict[str, float]]:
    """Return the prices by symbol of each `live_prices` since the last call."""
    received = [{each["symbol"]: each["price"] for each in prices} for prices in messages(socket)]
    assert socket.rest("live_price") == []
    return received


def messages(socket: Socket) -> list[list[dict[str, Any]]]:
    return socket.rest("live_prices")


def test_a_pass_is_one_message_with_the_symbols_of_the_socket_and_the_indices(
    batching: Callable[..., Socket], run_pass: Pass
) -> None:
    first, second, same = batching("reliance"), batching("tcs", "reliance"), batching("RELIANCE.NS")
    indices = batching()
    run_pass(1)
    run_pass(2, "TCS.NS")

    assert batches(first) == batches(same) == [risen(1, "^NSEI", "^BSESN", "RELIANCE.NS")]
    assert batches(second) == [risen(1), risen(2, "TCS.NS")]
    assert batches(indices) == [risen(1, "^NSEI", "^BSESN")]


def test_other_sockets_get_live_price_as_before(
    batching: Callable[..., Socket], connect: Connect, feed: ScriptedFeed, monitor: Monitor
) -> None:
    feed.set("TCS.NS", 3_000, DETAILS)
    together, single = batching("TCS"), connect()
    single.call("subscribe", {"symbols": ["TCS"]})
    single.rest("live_price")
    feed.tick("TCS.NS", 3_001, DETAILS)
    feed.tick("^NSEI", 25_001)
    monitor.run_once()

    prices = single.rest("live_price")
    assert [each["symbol"] for each in prices] == ["TCS.NS", "^NSEI"]
    assert single.rest("live_prices") == []
    (message,) = messages(together)
    assert sorted(message, key=lambda each: str(each["symbol"])) == prices


def test_the_first_prices_come_in_one_message_with_those_of_the_indices(
    connect: Connect, feed: ScriptedFeed
) -> None:
    feed.set("TCS.NS", 3_000)
    socket = connect()
    socket.rest("live_price")
    names = {"symbols": ["TCS", "RELIANCE", "no such"], "batch": True}

    answer = socket.call("subscribe", names)

    assert answer == {
        "ok": True,
        "symbols": ["TCS.NS", "RELIANCE.NS"],
        "unknown": ["no such"],
        "batch": True,
    }
    (first,) = batches(socket)
    assert set(first) == {"TCS.NS", "RELIANCE.NS", "^NSEI", "^BSESN"}
    # A later subscription stays with it, and brings the prices of its own symbols.
    assert "batch" not in socket.call("subscribe", {"symbols": ["TCS"]})
    assert [set(each) for each in batches(socket)] == [{"TCS.NS"}]


def test_symbols_can_be_added_and_removed(batching: Callable[..., Socket], run_pass: Pass) -> None:
    socket = batching("TCS")
    socket.call("subscribe", {"symbols": ["RELIANCE"]})
    messages(socket)
    run_pass(1, "TCS.NS", "RELIANCE.NS")
    assert batches(socket) == [risen(1, "TCS.NS", "RELIANCE.NS")]

    socket.call("unsubscribe", {"symbols": ["TCS", "NIFTY"]})
    run_pass(2)

    # The indices go on, as they do with `live_price`.
    assert batches(socket) == [risen(2, "RELIANCE.NS", "^NSEI", "^BSESN")]


def test_a_socket_can_change_to_it_and_back(connect: Connect, run_pass: Pass) -> None:
    socket = connect()
    socket.call("subscribe", {"symbols": ["TCS"]})
    socket.call("subscribe", {"symbols": ["RELIANCE"], "batch": True})
    socket.rest("live_price")
    messages(socket)
    run_pass(1)
    assert batches(socket) == [risen(1)]

    assert socket.call("subscribe", {"symbols": [], "batch": False})["batch"] is False
    run_pass(2)

    prices = socket.rest("live_price")
    assert {each["symbol"]: each["price"] for each in prices} == risen(2)
    assert len(prices) == len(BASE)
    assert messages(socket) == []


def test_an_invalid_or_refused_request_leaves_it_as_it_was(
    connect: Connect, run_pass: Pass, subtests: pytest.Subtests
) -> None:
    socket = connect()
    too_many = {"symbols": [f"{number}" for number in range(501)], "batch": True}
    for payload in ({"symbols": [], "batch": "yes"}, {"symbols": [], "batch": 1}, too_many):
        with subtests.test(payload=str(payload)[:40]):
            assert socket.call("subscribe", payload)["code"] == "validation_error"
    socket.rest("live_price")
    run_pass(1, "^NSEI")

    assert [each["symbol"] for each in socket.rest("live_price")] == ["^NSEI"]
    assert messages(socket) == []


def test_a_socket_that_leaves_takes_nothing_from_the_others(
    batching: Callable[..., Socket], run_pass: Pass, connections: Connections
) -> None:
    leaving, staying = batching("TCS"), batching("TCS")
    leaving.close()
    run_pass(1, "TCS.NS")

    assert batches(staying) == [risen(1, "TCS.NS")]
    assert len(connections.batched()) == 1


def test_a_client_that_does_not_read_is_closed_and_the_others_get_every_message(
    live_server: str, batching: Callable[..., Socket], connections: Connections
) -> None:
    unread = RawPolling(live_server)
    subscribe = json.dumps(["subscribe", {"symbols": [], "batch": True}])
    unread.post("40", f"42{subscribe}")
    reader = batching()
    eventually(lambda: len(connections.batched()) == 2)
    text = "x" * (MAX_WAITING_BYTES // 3)

    for _ in range(4):
        send_batches(connections, {"^NSEI": json.dumps(text)})
        assert reader.next("live_prices") == [text]

    eventually(lambda: len(connections.batched()) == 1)
