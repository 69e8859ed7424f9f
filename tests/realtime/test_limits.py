"""Limits: what a socket may follow and send, and that nothing of it remains afterwards."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask

from app.extensions import socketio
from app.market_data.instruments.registry import shipped_instruments
from app.market_data.polled_symbols import PolledSymbols
from app.realtime.connections import Connections
from tests.support.faults import before_command
from tests.support.live import eventually
from tests.support.raw_sockets import RawPolling, RawSocket
from tests.support.sockets import Socket
from tests.support.users import Trader

Connect = Callable[..., Socket]
SYMBOLS = [instrument.symbol for instrument in shipped_instruments()]


@pytest.fixture
def watchlist(app: Flask) -> PolledSymbols:
    watchlist: PolledSymbols = app.extensions["paper_trading"].polled_symbols
    return watchlist


@pytest.mark.parametrize(
    "name",
    ["connect", "disconnect", "connect_error", "*", "Disconnect", " connect ", "unknown event", ""],
)
def test_an_event_with_a_reserved_name_is_unknown_and_changes_nothing(
    raw: Callable[..., RawSocket],
    connections: Connections,
    watchlist: PolledSymbols,
    alice: Trader,
    name: str,
) -> None:
    before = watchlist.symbols()
    socket = raw(alice.token)
    socket.call("subscribe", {"symbols": ["TCS"]})
    socket.call("join", {"user_id": alice.client_id})

    payloads: list[Any] = [{}, "x", [], None, {"token": "x"}]
    for payload in payloads:
        assert socket.call(name, payload)["code"] == "unknown_event"
    assert socket.call(name)["code"] == "unknown_event"

    alice.create_trade()
    assert socket.event("trade_update")["seq"] == 1
    socket.close()
    eventually(lambda: connections.count == 0 and not connections.rooms.user_ids)
    assert watchlist.symbols() == before


def test_a_socket_follows_100_symbols_and_one_without_a_token_20(
    connect: Connect, watchlist: PolledSymbols, alice: Trader
) -> None:
    def follows(symbols: set[str]) -> bool:
        return watchlist.symbols() == symbols

    for token, limit in ((None, 20), (alice.token, 100)):
        socket = connect(token)
        first = watchlist.symbols()
        for number in range(0, limit, 10):
            assert socket.call("subscribe", {"symbols": SYMBOLS[number : number + 10]})["ok"]
        before = watchlist.symbols()

        refused = socket.call("subscribe", {"symbols": SYMBOLS[limit : limit + 1]})

        assert (refused["ok"], refused["code"]) == (False, "too_many_symbols")
        assert str(limit) in refused["error"]
        assert watchlist.symbols() == before
        assert socket.call("subscribe", {"symbols": SYMBOLS[:10]})["ok"] is True
        socket.call("unsubscribe", {"symbols": SYMBOLS[:1]})
        assert socket.call("subscribe", {"symbols": SYMBOLS[limit : limit + 1]})["ok"] is True
        socket.close()
        eventually(partial(follows, first))


def test_a_subscription_over_the_limit_subscribes_to_nothing(
    connect: Connect, watchlist: PolledSymbols
) -> None:
    before = watchlist.symbols()
    assert connect().call("subscribe", {"symbols": SYMBOLS[:21]})["code"] == "too_many_symbols"
    assert watchlist.symbols() == before


def test_all_sockets_share_a_budget_and_those_without_a_token_get_half_of_it(
    connect: Connect, alice: Trader, connections: Connections
) -> None:
    connections.max_followed = 8
    shares = [symbol for symbol in SYMBOLS if not symbol.startswith("^")]
    anonymous, known = connect(), connect(alice.token)
    assert anonymous.call("subscribe", {"symbols": shares[:4]})["ok"] is True

    refused = connect().call("subscribe", {"symbols": shares[4:5]})
    assert (refused["ok"], refused["code"]) == (False, "server_busy")
    assert "4 symbols" in refused["error"]
    assert connect().call("subscribe", {"symbols": shares[:4]})["ok"] is True
    assert known.call("subscribe", {"symbols": shares[4:8]})["ok"] is True
    assert known.call("subscribe", {"symbols": shares[8:9]})["code"] == "server_busy"


BAD_FRAMES: list[str | bytes] = [
    *("9", "2", "0", "6", "47", "4", "4x", "4[[[", "4" + "[" * 5_000, "44", "42", "42{}", "42[]"),
    *("42[[]]", "42[{}]", "42[null]", "42" + "[" * 20_000, "421" + "0" * 200 + '["join"]', "", "x"),
    *('451-["join",{"_placeholder":true,"num":0}]', '461-7["x"]', '45999999999-["x"]', b"x"),
]


@pytest.mark.parametrize("frame", BAD_FRAMES)
def test_a_malformed_frame_ends_the_socket_without_a_stack_trace(
    raw: Callable[..., RawSocket],
    connections: Connections,
    caplog: pytest.LogCaptureFixture,
    frame: str | bytes,
) -> None:
    socket = raw()
    socket.send(frame)

    assert socket.is_closed_by_the_server()
    eventually(lambda: connections.count == 0)
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("text", [frame for frame in BAD_FRAMES if isinstance(frame, str)])
def test_a_polling_request_with_a_bad_packet_is_refused(
    live_server: str, connections: Connections, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    polling = RawPolling(live_server)
    assert polling.post("40").status_code == 200
    eventually(lambda: connections.count)

    assert polling.post('42["unsubscribe",{"symbols":[]}]', text).status_code == 400

    assert polling.get().status_code == 400
    eventually(lambda: connections.count == 0)
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("text", ["b" + "eA==", "d=4", 'd=42["join"]'])
def test_a_polling_request_in_an_unknown_encoding_is_refused(live_server: str, text: str) -> None:
    polling = RawPolling(live_server)
    assert polling.post("40").status_code == 200
    assert polling.post(text).status_code == 400


def test_a_polling_request_over_64_kib_is_refused(live_server: str) -> None:
    polling = RawPolling(live_server)
    polling.post("40")
    requests = [f'42{number}["unsubscribe",{{"symbols":[]}}]' for number in range(400)]
    assert polling.post(*requests).status_code == 200
    packets = polling.packets_until("43399")
    assert [packet for packet in packets if packet.startswith("43")] == [
        f'43{number}[{{"ok":true,"symbols":[],"unknown":[]}}]' for number in range(400)
    ]
    assert polling.post("4" * (64 * 1024 + 1)).status_code == 413


def test_a_poll_has_no_more_packets_than_the_python_client_accepts(live_server: str) -> None:
    polling = RawPolling(live_server)
    polling.post("40")
    polling.post(*[f'42{number}["unsubscribe",{{"symbols":[]}}]' for number in range(40)])

    assert len(polling.get().text.split("\x1e")) == 16


def test_a_pong_to_an_unread_ping_is_no_sign_of_life(
    live_server: str, connections: Connections
) -> None:
    socketio.server.eio.ping_timeout = 1
    polling = RawPolling(live_server)
    polling.post("40")
    eventually(lambda: connections.count)
    begun = time.monotonic()
    while polling.post("3").status_code == 200:
        assert time.monotonic() - begun < 15, "pongs alone keep the session open"
        time.sleep(0.05)
    eventually(lambda: connections.count == 0)


def test_the_polling_sessions_of_an_address_are_limited(live_server: str) -> None:
    socketio.server.eio.max_polling_sessions = 2
    for _ in range(2):
        RawPolling(live_server)

    with pytest.raises(AssertionError, match="Too many polling sessions"):
        RawPolling(live_server)
    RawSocket(live_server).close()


def test_an_event_for_a_dead_socket_does_not_delay_the_others(
    connect: Connect, raw: Callable[..., RawSocket], alice: Trader, connections: Connections
) -> None:
    alive = connect(alice.token)
    alive.call("join", {"user_id": alice.client_id})
    dead = raw(alice.token)
    dead.call("join", {"user_id": alice.client_id})
    sessions = socketio.server.eio.sockets.values()
    session = next(session for session in sessions if session.sid != alive.engine_id)
    # As if it had not responded to a ping for a long time.
    session.last_ping = time.time() - 100

    alice.create_trade()
    alice.create_trade()

    assert [alive.next("trade_update")["seq"] for _ in range(2)] == [1, 2]
    eventually(lambda: connections.count == 1)


def test_a_message_in_progress_leaves_nothing_behind_of_a_disconnected_socket(
    app: Flask,
    raw: Callable[..., RawSocket],
    alice: Trader,
    connections: Connections,
    watchlist: PolledSymbols,
) -> None:
    before = watchlist.symbols()
    entered, ended = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        assert ended.wait(15)

    socket = raw(alice.token)
    with before_command("find", "inboxes", hold):
        socket.emit("join", {"user_id": alice.client_id})
        socket.emit("subscribe", {"symbols": ["TCS"]})
        assert entered.wait(15)
        (session,) = socketio.server.eio.sockets.values()
        session.close(abort=True)
        ended.set()

    eventually(lambda: connections.count == 0 and not connections.rooms.user_ids)
    assert watchlist.symbols() == before
    assert socketio.server.manager.rooms == {}
    assert socketio.server.environ == {}


def test_a_slow_reader_gets_a_long_replay_whole(
    app: Flask, live_server: str, alice: Trader
) -> None:
    socketio.server.eio.read_ahead_bytes = 2_000
    for _ in range(30):
        alice.post("/notifications", {"event": "note", "message": "x" * 500})
    polling = RawPolling(live_server)
    polling.post("40" + json.dumps({"token": alice.token}))
    join = f"42{json.dumps(['join', {'user_id': alice.client_id, 'since': 0}])}"
    asking = threading.Thread(target=polling.post, args=(join,))
    asking.start()
    (session,) = socketio.server.eio.sockets.values()
    most = 0
    updates: list[str] = []
    while len(updates) < 30:
        most = max(most, session.queue.waiting_bytes)
        packets = polling.get().text.split("\x1e")
        updates += [packet for packet in packets if "trade_update" in packet]
    asking.join(15)

    assert [json.loads(update[2:])[1]["seq"] for update in updates] == list(range(1, 31))
    # The read-ahead, and the last page, which is sent without waiting.
    assert most < 2_000 + 12 * 1_000
