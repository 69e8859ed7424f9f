"""Sockets of a session that ends."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest
from flask import Flask
from flask.testing import FlaskClient
from socketio.exceptions import ConnectionError

from app.database import collection
from app.realtime.connections import Connections
from app.server import serve
from app.transport.listener import listen
from app.web.principal import Principal, PrincipalKind, Scope
from config import Settings
from tests.support.live import eventually
from tests.support.market import ManualClock
from tests.support.sockets import Socket
from tests.support.users import PASSWORD, Trader

Connect = Callable[..., Socket]


@pytest.fixture
def other_token(client: FlaskClient, alice: Trader) -> str:
    """A token of another session of alice."""
    body = {"email": alice.client_id, "password": PASSWORD}
    return str(client.post("/auth/login", json=body).get_json()["access_token"])


def codes(socket: Socket) -> list[str | None]:
    found: list[str | None] = []
    while "token_revoked" not in found:
        found.append(socket.next("status").get("code"))
    return found


def test_signing_out_disconnects_the_sockets_of_the_session_and_no_others(
    connect: Connect, connections: Connections, alice: Trader, other_token: str
) -> None:
    joined, idle, other, anonymous = (
        connect(alice.token),
        connect(alice.token),
        connect(other_token),
        connect(),
    )
    for socket in (joined, other):
        assert socket.call("join", {"user_id": alice.client_id})["ok"]

    alice.post("/auth/logout")

    for socket in (joined, idle):
        codes(socket)
    eventually(lambda: not joined.is_connected and not idle.is_connected)
    eventually(lambda: connections.count == 2)
    assert other.is_connected
    assert anonymous.is_connected


def test_a_session_that_another_process_ended_has_its_sockets_disconnected(
    connect: Connect, alice: Trader, clock: ManualClock
) -> None:
    socket = connect(alice.token)
    socket.call("join", {"user_id": alice.client_id})

    collection("sessions").update_many({}, {"$set": {"ended_at": clock.now()}})

    codes(socket)
    eventually(lambda: not socket.is_connected)


def test_a_token_of_an_ended_session_neither_connects_nor_joins(
    connect: Connect, alice: Trader
) -> None:
    socket = connect()
    alice.post("/auth/logout")

    answer = socket.call("join", {"user_id": alice.client_id, "token": alice.token})

    assert (answer["ok"], answer["code"]) == (False, "unauthorized")
    assert "ended" in answer["error"]
    with pytest.raises(ConnectionError):
        connect(alice.token)


def test_deleting_an_account_disconnects_its_sockets(
    connect: Connect, alice: Trader, other_token: str
) -> None:
    sockets = [connect(alice.token), connect(other_token)]

    alice.client.delete("/auth/me", json={"password": PASSWORD}, headers=alice.headers)

    for socket in sockets:
        codes(socket)


def test_the_checks_end_with_the_server_also_if_a_client_never_left(
    app: Flask, make_settings: Callable[..., Settings], connections: Connections, alice: Trader
) -> None:
    listener = listen(make_settings(PORT=0))
    stop = serve(app, listener)
    scopes = frozenset(Scope)
    principal = Principal(alice.client_id, PrincipalKind.USER, scopes, "token", inf, "session")
    with app.app_context():
        connections.add("silent", principal)
        checking = [connections.is_checking]

        stop()
        listener.close()

        checking.append(connections.is_checking)
        connections.add("late", principal)
        checking.append(connections.is_checking)
    assert checking == [True, False, False]
    assert connections.count == 2
