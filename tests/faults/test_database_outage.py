"""A killed, stopped or unreachable database: no wrong response, and recovery by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.audit import Auditor, Snapshot, embedded_record, embedded_uri
from tests.support.database import DatabaseServer
from tests.support.load import Load
from tests.support.operation import Operation
from tests.support.server import ServerProcess

# Past every timeout of the server, the longest being that of an election, 12 s.
STOPPED_SECONDS = 20
CLOSED_SECONDS = 16
# Operations that were in progress when the database stopped may still succeed.
LAST_ANSWERS_SECONDS = 1
PROMPT_SECONDS = 2

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def server(make_shared_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A server with an embedded database."""
    return make_shared_server(MARKET_DATA="simulated", MARKET_SEED="1").start()


@contextmanager
def customers_of(server: ServerProcess, seed: str, name: str, uri: str = "") -> Iterator[Load]:
    """Have customers trade during the block; let them succeed after it, and audit them."""
    load = Load(server, 3, seed, name=name)
    load.sign_up()
    with load.running():
        load.await_success()
        yield load
        load.await_success()
    snapshot = Snapshot.take(uri or embedded_uri(server.folder / "data"))
    assert Auditor(snapshot.of_users(load.user_ids()), load.operations()).run() == []
    assert load.faults() == []


def database_pid(server: ServerProcess) -> int:
    return embedded_record(server.folder / "data")["database_pid"]


def assert_out_of_order(server: ServerProcess, load: Load, seconds: float) -> None:
    """See for a while that nothing succeeds, every response is a 503, and the server lives."""
    began = time.monotonic()
    customer = load.customers[0]
    order = {"symbol": "NIFTY", "trade_type": "BUY", "quantity": 1}
    # Written down with the rest, so that the audit knows of it.
    operation = Operation("create", customer.user_id, "/trades/create", order, key="away")
    customer.operations.append(operation)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(customer.attempt, operation)
        while time.monotonic() - began < seconds:
            live = server.request("GET", "/health/live", timeout=PROMPT_SECONDS)
            assert live.status_code == 200
            time.sleep(0.2)
        assert asked.done(), "a request waits for the database for ever"
    answer = asked.result()
    assert answer is not None
    assert answer.status_code == 503
    assert answer.json()["code"] == "database_unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    assert server.request("GET", "/health/ready").status_code == 503
    latest = max(each.latest_success for each in load.customers)
    assert latest < began + LAST_ANSWERS_SECONDS


def test_a_killed_database_is_restarted(server: ServerProcess, seed: str) -> None:
    with customers_of(server, seed, "killed"):
        killed = database_pid(server)
        os.kill(killed, signal.SIGKILL)
    assert database_pid(server) != killed


def test_both_killed_at_once(server: ServerProcess, seed: str) -> None:
    with customers_of(server, seed, "both"):
        os.kill(database_pid(server), signal.SIGKILL)
        server.kill()
        server.start()


def test_a_database_that_stands_still(server: ServerProcess, seed: str) -> None:
    pid = database_pid(server)
    with customers_of(server, seed, "stopped") as load:
        os.kill(pid, signal.SIGSTOP)
        try:
            assert_out_of_order(server, load, STOPPED_SECONDS)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert database_pid(server) == pid


def test_a_database_behind_a_closed_port(
    make_server: Callable[..., ServerProcess], tmp_path: Path, seed: str
) -> None:
    database = DatabaseServer(tmp_path / "database").start()
    try:
        server = make_server(
            MARKET_DATA="simulated", MARKET_SEED="1", MONGO_URI=database.uri
        ).start()
        with customers_of(server, seed, "closed", database.uri) as load:
            database.kill()
            assert_out_of_order(server, load, CLOSED_SECONDS)
            database.start()
    finally:
        database.kill()
