"""Connecting with a good token, a bad one, or none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
import socketio
from flask import Flask
from flask_jwt_extended import create_access_token, create_refresh_token

from app.realtime.connections import Connections
from app.web.auth import issue_token
from tests.support.live import eventually
from tests.support.sockets import Socket
from tests.support.users import Trader

Connect = Callable[..., Socket]


@pytest.fixture
def token(app: Flask) -> str:
    """A valid token, which is all that connecting needs."""
    with app.app_context():
        return issue_token("someone")


@pytest.mark.parametrize("variables", [{"PORT": 5001}])
def test_a_session_id_begins_with_the_port_of_its_process(connect: Connect) -> None:
    assert connect(transport="polling").engine_id.startswith("5001.")


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_an_anonymous_client_gets_a_status_and_the_prices_of_the_indices(
    connect: Connect, transport: str
) -> None:
    socket = connect(transport=transport)

    assert socket.next("status") == {"msg": "Connected"}
    prices = [socket.next("live_price") for _ in range(2)]
    assert prices == [
        {
            "symbol": symbol,
            "price": price,
            "timestamp": "2026-11-23T04:00:00.000Z",
            "age": 0.0,
            "source": "mock",
            "delayed": False,
        }
        for symbol, price in (("^NSEI", 25_000.0), ("^BSESN", 80_000.0))
    ]


def test_an_anonymous_client_gets_nothing_but_prices(connect: Connect, alice: Trader) -> None:
    socket = connect()
    assert socket.call("join", {"user_id": alice.client_id})["code"] == "unauthorized"
    alice.create_trade()

    assert socket.rest("trade_update") == []
    assert [each.get("code") for each in socket.rest("status")] == [None, "unauthorized"]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_token_in_auth_says_who_it_is(connect: Connect, token: str, transport: str) -> None:
    socket = connect(token, transport=transport)

    assert socket.next("status") == {"msg": "Connected as someone"}
    assert socket.call("join", {"user_id": "someone"})["ok"] is True


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_token_in_the_authorization_header_does_too(
    connect: Connect, token: str, transport: str
) -> None:
    socket = connect(transport=transport, headers={"Authorization": f"Bearer {token}"})

    assert socket.call("join", {"user_id": "someone"})["ok"] is True


@pytest.mark.parametrize("auth", [{}, {"token": None}, {"other": 1}])
def test_auth_without_a_token_is_anonymous(connect: Connect, auth: Any) -> None:
    assert connect(auth=auth).next("status") == {"msg": "Connected"}


def refusal(live_server: str, **options: Any) -> Any:
    """Return what the connect_error says of a connection that is refused."""
    socket = Socket()
    with pytest.raises(socketio.exceptions.ConnectionError):
        socket.connect(live_server, **options)
    said = socket.next("connect_error")
    assert not socket.is_connected
    socket.close()
    return said.get("message") if isinstance(said, dict) else said


def test_a_bad_token_is_refused_as_unauthorized(
    app: Flask, live_server: str, connections: Connections, subtests: pytest.Subtests
) -> None:
    with app.app_context():
        expired = create_access_token("someone", expires_delta=timedelta(seconds=-60))
        refresh = create_refresh_token("someone")
        good = issue_token("someone")
    bad = {
        "text": "not-a-token",
        "empty": "",
        "a number": 5,
        "an object": {"$gt": ""},
        "expired": expired,
        "a refresh token": refresh,
        "changed": f"{good[:-4]}AAAA",
    }
    for what, token in bad.items():
        with subtests.test(what):
            assert refusal(live_server, auth={"token": token}) == "unauthorized"
    for header in ("Bearer nonsense", "Bearer", good, "Basic YWxpY2U6eA=="):
        with subtests.test(header=header[:20]):
            said = refusal(live_server, headers={"Authorization": header})
            assert said == "unauthorized"
    assert refusal(live_server, auth={"token": "x"}, transport="polling") == "unauthorized"
    assert connections.count == 0


def test_a_socket_that_disconnects_is_forgotten(
    app: Flask, connect: Connect, alice: Trader, connections: Connections
) -> None:
    watchlist = app.extensions["paper_trading"].polled_symbols
    before = watchlist.symbols()
    for _ in range(2):
        socket = connect(alice.token)
        socket.call("join", {"user_id": alice.client_id})
        socket.call("subscribe", {"symbols": ["RELIANCE", "TCS"]})
        assert watchlist.symbols() == before | {"RELIANCE.NS", "TCS.NS"}
        assert connections.rooms.user_ids == [alice.client_id]

        socket.close()

        eventually(lambda: connections.count == 0)
        eventually(lambda: not connections.rooms.user_ids and watchlist.symbols() == before)
    assert alice.create_trade().status_code == 201


def test_a_socket_that_breaks_off_is_forgotten_too(
    connect: Connect, alice: Trader, connections: Connections
) -> None:
    socket = connect(alice.token)
    socket.call("join", {"user_id": alice.client_id})

    socket.break_off()

    eventually(lambda: connections.count == 0 and not connections.rooms.user_ids)


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:3000", 200), ("http://evil.example", 400), (None, 200)],
)
def test_pages_of_unlisted_origins_may_not_connect(
    live_server: str, origin: str | None, status: int
) -> None:
    headers = {"Origin": origin} if origin else {}
    answer = requests.get(
        f"{live_server}/socket.io/?EIO=4&transport=polling", headers=headers, timeout=10
    )
    assert answer.status_code == status


@pytest.mark.parametrize("scheme", ["http", "ws", "HTTP"])
def test_the_page_the_server_serves_itself_may_connect(live_server: str, scheme: str) -> None:
    answer = requests.get(
        f"{live_server}/socket.io/?EIO=4&transport=polling",
        headers={"Origin": live_server.replace("http", scheme)},
        timeout=10,
    )
    assert answer.status_code == 200
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_refused_origin_of_a_socket_is_logged(
    live_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "paper_trading")
    for _ in range(3):
        requests.get(
            f"{live_server}/socket.io/?EIO=4&transport=polling",
            headers={"Origin": "https://evil.example"},
            timeout=10,
        )

    refusal = "refused the origin https://evil.example"
    lines = [each for each in caplog.records if refusal in each.getMessage()]
    assert len(lines) == 1
