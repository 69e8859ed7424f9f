"""Workers, Redis, the database and web processes fail in turn while customers trade through nginx.

One load for all the tests: the failures come one after the other, and the last tests audit all.
"""

from __future__ import annotations

import contextlib
import gc
import json
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from tests.support.audit import Auditor, Snapshot, rest_differences, subject_of
from tests.support.database import DatabaseServer
from tests.support.deployment import Deployment
from tests.support.followers import Follower, NodeFollower, PythonFollower, await_seq
from tests.support.live import LiveTrader, eventually
from tests.support.load import Load
from tests.support.memory import resident_bytes
from tests.support.nginx import Nginx
from tests.support.raw_sockets import RawSocket
from tests.support.recording import write_swinging_market
from tests.support.server import Server, ServerProcess

pytestmark = [
    pytest.mark.needs("nginx"),
    pytest.mark.needs("openssl"),
    pytest.mark.needs("redis-server"),
    pytest.mark.needs("node", package="nodejs"),
    # python-socketio leaves the socket of a connection that broke to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CUSTOMERS = 2
# For a busy machine; each step takes a few seconds.
SECONDS = 120
MARKET_SECONDS = 600
EVENTS_OF_THE_SLOW = 30
MAX_GROWTH = 80 * 1024 * 1024


@dataclass
class System:
    """The deployment, its clients, and a socket that never reads."""

    deployment: Deployment
    gateway: Nginx
    database: DatabaseServer
    load: Load
    followers: list[Follower]

    def closings(self) -> int:
        """Return how many trades the market has closed so far."""
        return sum(trade["status"] in ("STOP_LOSS_HIT", "TARGET_HIT") for trade in self.trades())

    def trades(self) -> list[dict[str, Any]]:
        return self.snapshot().trades

    def snapshot(self) -> Snapshot:
        return Snapshot.take(self.database.uri).of_users(self.load.user_ids())

    def await_catch_up(self) -> None:
        """Wait until each follower has every event that there is now."""
        events = self.snapshot().notifications
        for follower in self.followers:
            await_seq(
                follower, sum(event["user_id"] == follower.user_id for event in events), SECONDS
            )


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """A database that the tests end and start again."""
    server = DatabaseServer(tmp_path_factory.mktemp("database"))
    yield server.start()
    server.kill()


@pytest.fixture(scope="module")
def deployment(
    database: DatabaseServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    recording = write_swinging_market(folder / "market.csv", seconds=MARKET_SECONDS, seed=1)
    deployment = Deployment(
        folder,
        database.uri,
        TRUSTED_PROXIES=1,
        MARKET_DATA="replay",
        REPLAY_FILE=recording.path,
        RATELIMIT_ENABLED="true",
        RATELIMIT_DEFAULT="1000000 per hour",
        RATELIMIT_READS="1000000 per hour",
    )
    try:
        yield deployment.start()
    finally:
        deployment.stop()


@pytest.fixture(scope="module")
def system(
    deployment: Deployment,
    gateway: Nginx,
    database: DatabaseServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    """The deployment under load."""
    load = Load(gateway, CUSTOMERS, "1")
    load.sign_up()
    system = System(deployment, gateway, database, load, [])
    folder = tmp_path_factory.mktemp("followers")
    one, other = [(gateway.url, each.user_id, each.token) for each in load.customers]
    system.followers += [
        PythonFollower(*one),
        PythonFollower(*other, transport="polling"),
        NodeFollower(*other, folder / "updates.jsonl"),
    ]
    try:
        with load.running():
            load.await_success(SECONDS)
            yield system
    finally:
        for follower in system.followers:
            follower.stop()
        system.followers.clear()
        # Here, where that is expected, and not during some later test.
        gc.collect()


class SlowReader:
    """A socket that asks for its events again and again and reads none of them."""

    def __init__(self, gateway: Nginx, webs: Sequence[ServerProcess]) -> None:
        self._webs = webs
        self._memory = [memory_of(web) for web in webs]
        trader = LiveTrader(gateway)
        trader.open_portfolio()
        for _ in range(EVENTS_OF_THE_SLOW):
            trader.create_trade()
        self._socket = RawSocket(gateway.url, trader.token)
        self._join = f"42{json.dumps(['join', {'user_id': trader.client_id, 'since': 0}])}"
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        with contextlib.suppress(OSError, websocket.WebSocketException):
            while True:
                self._socket.send(self._join)
                time.sleep(0.02)

    def is_cut(self) -> bool:
        return not self._thread.is_alive()

    def growth(self) -> int:
        """Return by how many bytes the web processes have grown since it began, the largest."""
        return max(
            memory_of(web) - before for web, before in zip(self._webs, self._memory, strict=True)
        )

    def close(self) -> None:
        self._socket.websocket.shutdown()
        self._thread.join()


def memory_of(server: ServerProcess) -> int:
    """Return the resident memory of a gunicorn with its process, in bytes."""
    assert server.process is not None
    main = server.process.pid
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    return resident_bytes(main) + sum(resident_bytes(int(child)) for child in children)


@pytest.fixture(scope="module")
def slow_reader(system: System) -> Iterator[SlowReader]:
    """A socket that asks without reading while the first tests run."""
    slow = SlowReader(system.gateway, system.deployment.webs)
    yield slow
    slow.close()


def await_readiness(server: Server, code: int, status: str) -> None:
    def is_so() -> bool:
        answer = server.request("GET", "/health/ready")
        return (answer.status_code, answer.json()["status"]) == (code, status)

    eventually(is_so, SECONDS)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.usefixtures("slow_reader")
def test_the_share_of_a_killed_worker_is_taken_over(system: System, number: int) -> None:
    worker = system.deployment.workers[number]
    worker.kill()
    closed = system.closings()

    eventually(lambda: system.closings() > closed, SECONDS)

    worker.start()
    system.load.await_success(SECONDS)


def test_a_socket_that_never_reads_is_cut_and_takes_no_memory(slow_reader: SlowReader) -> None:
    eventually(slow_reader.is_cut, SECONDS)

    assert slow_reader.growth() < MAX_GROWTH


def test_without_redis_trading_continues_and_sockets_catch_up_afterwards(system: System) -> None:
    system.deployment.redis.kill()
    for web in system.deployment.webs:
        await_readiness(web, 200, "degraded")
    system.load.await_success(SECONDS)
    closed = system.closings()
    eventually(lambda: system.closings() > closed, SECONDS)

    system.deployment.redis.start()

    for web in system.deployment.webs:
        await_readiness(web, 200, "ok")
    system.await_catch_up()


def test_without_the_database_requests_are_503_and_everything_recovers(system: System) -> None:
    system.database.kill()

    def refusals() -> list[requests.Response]:
        customer = system.load.customers[0]
        path = f"/portfolio/{customer.user_id}"
        answer = system.gateway.request("GET", path, customer.token)
        return [answer] if answer.status_code == 503 else []

    (refused,) = eventually(refusals, SECONDS)
    assert refused.json()["code"] == "database_unavailable"
    assert int(refused.headers["Retry-After"]) > 0
    await_readiness(system.gateway, 503, "unavailable")
    assert system.gateway.request("GET", "/health/live").status_code == 200

    system.database.start()

    await_readiness(system.gateway, 200, "ok")
    system.load.await_success(SECONDS)
    closed = system.closings()
    eventually(lambda: system.closings() > closed, SECONDS)
    system.await_catch_up()


def test_web_processes_restart_one_after_the_other_and_no_request_fails(system: System) -> None:
    counts = [len(customer.operations) for customer in system.load.customers]
    for web in system.deployment.webs:
        assert web.stop(signal.SIGTERM, timeout=30) == 0
        web.start()
        system.load.await_success(SECONDS)

    made = [
        operation
        for customer, count in zip(system.load.customers, counts, strict=True)
        # The last ones are still under way.
        for operation in customer.operations[count:-1]
    ]
    assert made
    assert [each for each in made if each.is_open and not each.is_repeatable] == []
    system.await_catch_up()


def test_nothing_acknowledged_is_lost_and_nothing_is_half_done(system: System) -> None:
    system.load.stop()

    snapshot = system.snapshot()
    assert Auditor(snapshot, system.load.operations()).run() == []
    assert system.load.faults() == []
    assert system.closings() > CUSTOMERS
    for customer in system.load.customers:
        assert rest_differences(system.gateway, customer.user_id, customer.token) == []


def test_each_socket_saw_each_event_once_and_in_order(system: System) -> None:
    system.load.stop()
    events = system.snapshot().notifications
    joins = [each.joins for each in system.followers if isinstance(each, PythonFollower)]
    # Their web process was restarted.
    assert min(joins) > 1

    for follower in system.followers:
        kept = {
            event["seq"]: (event["type"], subject_of(event["data"]))
            for event in events
            if event["user_id"] == follower.user_id
        }
        updates = await_seq(follower, len(kept), SECONDS)
        assert [update["seq"] for update in updates] == list(range(1, len(kept) + 1))
        assert {
            update["seq"]: (update["event"], subject_of(update["data"])) for update in updates
        } == kept
