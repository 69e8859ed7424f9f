"""Tokens that expire while their socket stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask_jwt_extended import create_access_token

from app.realtime.connections import Connections
from tests.support.live import eventually
from tests.support.sockets import Socket
from tests.support.users import Trader

Connect = Callable[..., Socket]
# Long enough to connect and join on a busy machine.
SECONDS = 4


@pytest.fixture
def short_token(app: Flask, alice: Trader) -> str:
    """A token of alice that expires soon."""
    with app.app_context():
        lifetime = timedelta(seconds=SECONDS)
        return str(create_access_token(alice.client_id, expires_delta=lifetime))


def test_a_socket_leaves_the_room_when_its_token_expires_until_it_joins_with_another(
    connect: Connect, connections: Connections, alice: Trader, short_token: str
) -> None:
    socket = connect(short_token)
    own = {"user_id": alice.client_id}
    assert socket.call("join", own)["ok"] is True
    alice.create_trade()
    assert socket.next("trade_update")["seq"] == 1
    assert [socket.next("status").get("code") for _ in range(2)] == [None, None]

    status = socket.next("status")
    assert status["code"] == "token_expired"
    assert isinstance(status["msg"], str)
    assert connections.rooms.user_ids == []

    alice.create_trade()
    assert socket.rest("trade_update") == []
    for expired in ({**own, "since": 0}, {**own, "since": 0, "token": short_token}):
        answer = socket.call("join", expired)
        assert (answer["ok"], answer["code"]) == (False, "unauthorized")
        assert "expired" in answer["error"]
    assert socket.rest("trade_update") == []

    assert socket.call("join", {**own, "token": alice.token, "since": 1})["seq"] == 2
    assert socket.call("join", {**own})["ok"] is True
    assert [each["seq"] for each in socket.rest("trade_update")] == [2]


def test_a_join_with_a_newer_token_in_time_loses_no_event(
    connect: Connect, alice: Trader, short_token: str
) -> None:
    renewed, other = connect(short_token), connect(short_token)
    own = {"user_id": alice.client_id}
    for socket in (renewed, other):
        socket.call("join", own)
    renewed.call("join", {**own, "token": alice.token})
    # An older token afterwards takes nothing away.
    renewed.call("join", {**own, "token": short_token})
    codes: list[str | None] = []
    while "token_expired" not in codes:
        codes.append(other.next("status").get("code"))

    alice.create_trade()

    assert renewed.next("trade_update")["seq"] == 1
    assert [each.get("code") for each in renewed.rest("status")] == [None] * 4
    assert other.rest("trade_update") == []


def test_no_one_watches_the_time_once_no_socket_is_in_a_room(
    connect: Connect, connections: Connections, alice: Trader
) -> None:
    socket = connect(alice.token)
    socket.call("join", {"user_id": alice.client_id})
    assert connections.is_checking
    socket.close()
    eventually(lambda: not connections.is_checking)
