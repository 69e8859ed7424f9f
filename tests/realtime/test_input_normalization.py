"""Forms of tokens, users and symbols that clients send, each with one plain meaning."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import socketio

from tests.support.sockets import Socket
from tests.support.users import Trader

Connect = Callable[..., Socket]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda token: {"token": f"Bearer {token}"},
        lambda token: {"token": f"bearer {token}"},
        lambda token: {"token": f"  BEARER   {token} "},
        lambda token: {"access_token": token, "client_id": "x"},
        lambda token: {"Authorization": f"Bearer {token}"},
        lambda token: {"authorization": f"Bearer {token}"},
    ],
)
def test_a_token_in_auth_may_have_the_form_of_a_header(
    connect: Connect, alice: Trader, wrap: Callable[[str], Any], transport: str
) -> None:
    socket = connect(auth=wrap(alice.token), transport=transport)

    assert socket.call("join", {"user_id": alice.client_id})["ok"] is True


def test_a_token_in_a_join_may_have_the_form_of_a_header(connect: Connect, alice: Trader) -> None:
    own = {"user_id": alice.client_id, "token": f"bearer {alice.token}"}
    assert connect().call("join", own)["ok"] is True


def test_a_token_in_the_address_is_refused_with_a_remedy(
    live_server: str, alice: Trader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    socket = Socket()
    with pytest.raises(socketio.exceptions.ConnectionError):
        socket.connect(f"{live_server}?token={alice.token}")

    assert "auth: {token}" in socket.next("connect_error")["message"]
    assert alice.token not in "".join(
        each.getMessage() for each in caplog.records if each.name == "paper_trading"
    )
    socket.close()


def test_a_token_in_the_address_is_ignored_beside_one_in_auth(
    live_server: str, alice: Trader
) -> None:
    socket = Socket().connect(f"{live_server}?token=x", auth={"token": alice.token})
    assert socket.call("join", {"user_id": alice.client_id})["ok"] is True
    socket.close()


def test_a_user_may_be_named_in_each_plain_form(
    connect: Connect, alice: Trader, subtests: pytest.Subtests
) -> None:
    socket = connect(alice.token)
    own = {"ok": True, "user_id": alice.client_id, "seq": 0}
    forms: list[Any] = [
        alice.client_id,
        {"client_id": alice.client_id},
        {"user_id": f" {alice.client_id.upper()} "},
        json.dumps({"user_id": alice.client_id}),
        {"user_id": alice.client_id, "since": 0.0},
        {"user_id": alice.client_id, "room": "anything"},
    ]
    for payload in forms:
        with subtests.test(payload=repr(payload)):
            assert socket.call("join", payload) == own
            assert socket.call("leave", payload)["ok"] is True
    assert socket.call("JOIN", {"user_id": alice.client_id}) == own


def test_the_error_of_a_missing_field_names_a_similar_one(connect: Connect, alice: Trader) -> None:
    socket = connect(alice.token)
    assert "sent 'userId': did you mean user_id?" in socket.call("join", {"userId": "x"})["error"]
    assert "'symbolz'" in socket.call("subscribe", {"symbolz": []})["error"]


@pytest.mark.parametrize(
    "payload",
    [
        {"symbols": "tcs"},
        {"symbol": "TCS.NS"},
        {"symbol": ["tcs"]},
        "TCS",
        ["Tcs"],
        {"symbols": " tcs , tcs.ns"},
        '{"symbols": ["tcs"]}',
        '["tcs"]',
        {"symbols": ["tcs"], "symbol": "TCS"},
    ],
)
def test_symbols_may_be_given_in_each_plain_form(connect: Connect, payload: Any) -> None:
    answer = {"ok": True, "symbols": ["TCS.NS"], "unknown": []}
    socket = connect()
    assert socket.call("subscribe", payload) == answer
    assert socket.call("unsubscribe", payload) == answer
