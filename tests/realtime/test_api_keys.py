"""Sockets of bots: connected with an API key, within its scopes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import socketio
from bson import ObjectId
from flask import Flask

from app.database import collection
from app.models import Session
from app.realtime.connections import Connections
from app.services import now
from tests.support.live import eventually
from tests.support.sockets import Socket
from tests.support.users import Trader

Connect = Callable[..., Socket]


def create_key(trader: Trader, *scopes: str) -> str:
    created = trader.post("/auth/api-keys", {"name": "Bot", "scopes": list(scopes)})
    return str(created.get_json()["api_key"])


@pytest.mark.parametrize("by", ["auth", "header", "join"])
def test_a_key_that_may_read_joins_the_room_of_its_user(
    connect: Connect, alice: Trader, by: str
) -> None:
    key = create_key(alice, "read")
    options = {"auth": {"auth": {"api_key": key}}, "header": {"headers": {"X-API-Key": key}}}
    socket = connect(**options.get(by, {}))
    sent = {"api_key": key} if by == "join" else {}

    joined = socket.call("join", {"user_id": alice.client_id, **sent})

    assert joined == {"ok": True, "user_id": alice.client_id, "seq": 1}
    alice.create_trade()
    assert socket.next("trade_update")["event"] == "trade_created"


def test_a_key_without_read_gets_prices_only(connect: Connect, alice: Trader) -> None:
    socket = connect(auth={"api_key": create_key(alice, "trade")})

    refused = socket.call("join", {"user_id": alice.client_id})

    assert refused["code"] == "insufficient_scope"
    assert socket.next("live_price")["symbol"] == "^NSEI"


def test_a_key_joins_no_other_users_room(connect: Connect, alice: Trader, bob: Trader) -> None:
    socket = connect(auth={"api_key": create_key(alice, "read")})

    assert socket.call("join", {"user_id": bob.client_id})["code"] == "forbidden"


def test_the_sockets_of_a_deleted_key_are_disconnected(
    connect: Connect, connections: Connections, alice: Trader
) -> None:
    created = alice.post("/auth/api-keys", {"name": "Bot", "scopes": ["read"]}).get_json()
    bot, own = connect(auth={"api_key": created["api_key"]}), connect(alice.token)
    for socket in (bot, own):
        assert socket.call("join", {"user_id": alice.client_id})["ok"] is True

    alice.client.delete(f"/auth/api-keys/{created['key_id']}", headers=alice.headers)

    codes = [bot.next("status").get("code") for _ in range(3)]
    assert codes == [None, None, "api_key_invalid"]
    eventually(lambda: connections.count == 1)
    alice.create_trade()
    assert own.next("trade_update")["event"] == "trade_created"


def test_a_key_that_another_process_deleted_loses_its_sockets(
    app: Flask, connect: Connect, connections: Connections, alice: Trader
) -> None:
    created = alice.post("/auth/api-keys", {"name": "Bot", "scopes": ["read"]}).get_json()
    connect(auth={"api_key": created["api_key"]})
    eventually(lambda: connections.count == 1)

    with app.app_context():
        Session.end_key(ObjectId(created["key_id"]), alice.client_id, now())

    eventually(lambda: connections.count == 0)


def test_a_deleted_key_is_refused(connect: Connect, alice: Trader) -> None:
    key = create_key(alice, "read")
    collection("api_keys").delete_many({})
    socket = connect()

    refused = socket.call("join", {"user_id": alice.client_id, "api_key": key})

    assert refused["code"] == "unauthorized"
    with pytest.raises(socketio.exceptions.ConnectionError):
        connect(auth={"api_key": key})
