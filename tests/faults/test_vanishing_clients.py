"""Clients that disconnect during a request, or before its response."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable

import pytest

from tests.support.audit import Auditor, Snapshot, embedded_uri
from tests.support.load import Load
from tests.support.operation import Operation
from tests.support.server import ServerProcess

TIMES = 20
ORDER = {"symbol": "NIFTY", "trade_type": "BUY", "quantity": 1}


@pytest.fixture(scope="module")
def server(make_shared_server: Callable[..., ServerProcess]) -> ServerProcess:
    return make_shared_server(MARKET_DATA="simulated", MARKET_SEED="1").start()


def order_request(token: str, key: str) -> bytes:
    body = json.dumps(ORDER)
    headers = {
        "Host": "127.0.0.1",
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Idempotency-Key": key,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /trades/create HTTP/1.1\r\n{lines}\r\n{body}".encode()


def send_and_vanish(server: ServerProcess, request: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request)


def test_half_a_request_does_nothing(server: ServerProcess, seed: str) -> None:
    load = Load(server, 1, seed, name="half")
    load.sign_up()
    (customer,) = load.customers
    chance = random.Random(seed)
    whole = order_request(customer.token, "half")
    for _ in range(TIMES):
        send_and_vanish(server, whole[: chance.randrange(1, len(whole))])

    operation = Operation("create", customer.user_id, "/trades/create", dict(ORDER), key="whole")
    customer.operations.append(operation)
    customer.attempt(operation)
    snapshot = Snapshot.take(embedded_uri(server.folder / "data")).of_users(load.user_ids())
    assert len(snapshot.trades) == 1
    assert Auditor(snapshot, load.operations()).run() == []
    assert "unexpected error" not in server.output()


def test_a_retry_is_answered_as_the_client_that_left_would_have_been(
    server: ServerProcess, seed: str
) -> None:
    load = Load(server, 1, seed, name="left")
    load.sign_up()
    (customer,) = load.customers
    for number in range(TIMES):
        send_and_vanish(server, order_request(customer.token, f"left{number}"))
        # Perhaps while the first is still under way, perhaps after it.
        key = f"left{number}"
        operation = Operation("create", customer.user_id, "/trades/create", dict(ORDER), key=key)
        customer.operations.append(operation)
        customer.attempt(operation)
        assert operation.succeeded, operation
        first = dict(operation.answer)
        customer.attempt(operation)
        assert operation.answer == first

    snapshot = Snapshot.take(embedded_uri(server.folder / "data")).of_users(load.user_ids())
    assert len(snapshot.trades) == TIMES
    assert Auditor(snapshot, load.operations()).run() == []
