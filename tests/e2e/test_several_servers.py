"""Two servers on one configured database, connected by Redis."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from pymongo import MongoClient

from tests.e2e.conftest import ASYNC_MODES
from tests.support.live import Listener, LiveTrader, eventually
from tests.support.recording_files import falling_and_rising, standing_still, write_recording
from tests.support.redis_server import RedisServer
from tests.support.server import ServerProcess, servers_in

MakeServer = Callable[..., ServerProcess]
MakePair = Callable[..., AbstractContextManager[list[ServerProcess]]]


_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One for all tests; each that kills it starts it again."""
    own = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield own
    own.kill()


@pytest.fixture(scope="module")
def make_pair(
    mongo_server: str,
    database_client: MongoClient[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> MakePair:
    """Start two servers on one database, which take each other's tokens."""

    @contextmanager
    def make(**environment: object) -> Iterator[list[ServerProcess]]:
        base, _, options = mongo_server.partition("?")
        name = f"pair_{os.getpid()}_{next(_numbers)}"
        shared = {
            "MONGO_URI": f"{base.rstrip('/')}/{name}?{options}",
            "JWT_SECRET_KEY": "a-secret-of-both-" + "5e" * 16,
        }
        with servers_in(tmp_path_factory.mktemp("pair")) as make_server:
            servers = [make_server(name, **shared, **environment) for name in "ab"]
            yield [server.start() for server in servers]
        database_client.drop_database(name)

    return make


@pytest.fixture(scope="module", params=ASYNC_MODES)
def pair(
    request: pytest.FixtureRequest, make_pair: MakePair, redis_server: RedisServer
) -> Iterator[list[ServerProcess]]:
    """Two servers in each async mode, connected by Redis."""
    with make_pair(REDIS_URL=redis_server.url, SOCKETIO_ASYNC_MODE=request.param) as servers:
        yield servers


@pytest.fixture(scope="module", params=ASYNC_MODES)
def server(
    request: pytest.FixtureRequest,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ServerProcess]:
    """One server with Redis, in each async mode."""
    folder = tmp_path_factory.mktemp("server")
    with servers_in(folder) as make_server:
        yield make_server(
            REDIS_URL=redis_server.url,
            RATELIMIT_ENABLED="true",
            SOCKETIO_ASYNC_MODE=request.param,
            MARKET_DATA="replay",
            REPLAY_FILE=write_recording(folder / "day.csv", standing_still()),
        ).start()


def test_a_configured_database_is_used_and_no_other_is_started(
    make_server: MakeServer, mongo_uri: str
) -> None:
    server = make_server(MONGO_URI=mongo_uri).start()
    trader = LiveTrader(server)
    trader.open_portfolio()
    trade = trader.create_trade()

    assert "MongoDB at MONGO_URI" in server.output()
    assert not list((server.folder / "data").glob("database*"))
    server.kill()
    server.start()
    assert trader.trade(trade["trade_id"])["status"] == "ACTIVE"


def test_two_servers_settle_each_trade_once(make_pair: MakePair, tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "day.csv", falling_and_rising())
    with make_pair(MARKET_DATA="replay", REPLAY_FILE=recording) as (a, b):
        trader = LiveTrader(a)
        trader.open_portfolio()
        for _ in range(5):
            trader.create_trade(stop_loss=trader.price() - 20.5)

        trader.server = b
        eventually(lambda: all(each["status"] == "STOP_LOSS_HIT" for each in trader.trades()))
        assert_settled_once(trader)


def assert_settled_once(trader: LiveTrader) -> None:
    portfolio = trader.portfolio()
    pnl = sum(each["pnl"] for each in trader.trades())
    assert portfolio["total_pnl"] == round(pnl, 2)
    assert portfolio["utilized_margin"] == 0
    events = trader.get("/notifications").json()["notifications"]
    assert [each["type"] for each in events].count("trade_auto_closed") == 5


@pytest.mark.needs("redis-server")
def test_limits_are_counted_together_and_without_redis_by_each_server(
    make_pair: MakePair, redis_server: RedisServer
) -> None:
    limits = {"RATELIMIT_ENABLED": "true", "RATELIMIT_DEFAULT": "20 per hour"}
    guess = {"email": "nobody@example.com", "password": "a guess"}
    with make_pair(REDIS_URL=redis_server.url, **limits) as pair:

        def ask(method: str, path: str, times: int, **kwargs: Any) -> list[requests.Response]:
            turns = [server for _ in range(times) for server in pair]
            return [each.request(method, path, **kwargs) for each in turns]

        def statuses(*request: Any, **kwargs: Any) -> list[int]:
            return [each.status_code for each in ask(*request, **kwargs)]

        answers = ask("GET", "/market/live/NIFTY", 11)
        assert [each.status_code for each in answers] == [200] * 20 + [429] * 2
        assert int(answers[-1].headers["Retry-After"]) > 0
        assert statuses("POST", "/auth/login", 4, json=guess) == [401] * 6 + [429] * 2
        assert statuses("GET", "/nope", 11) == [404] * 20 + [429] * 2

        redis_server.kill()

        # Each server counts by itself, from zero.
        found = statuses("POST", "/auth/login", 7, json=guess)
        assert found == [401] * 12 + [429] * 2
        assert statuses("GET", "/nope", 21) == [404] * 40 + [429] * 2
        handshake = pair[0].request("GET", "/socket.io/?EIO=4&transport=polling")
        assert handshake.status_code == 200
    redis_server.start()


@pytest.mark.needs("redis-server")
def test_events_of_one_server_reach_sockets_of_another_once_and_in_order(
    pair: list[ServerProcess],
) -> None:
    a, b = pair
    trader = LiveTrader(a)
    trader.open_portfolio()
    with Listener(b, trader.token) as there, Listener(a, trader.token) as here:
        for socket in (there, here):
            assert socket.call("join", user_id=trader.client_id)["ok"]

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: trader.create_trade(), range(30)))
        trader.post(f"/trades/exit-all/{trader.client_id}")

        for socket in (there, here):
            socket.wait_for_update(lambda update: update["seq"] == 60)
            assert [update["seq"] for update in socket.updates] == list(range(1, 61))
            # One of the two polls prices; sockets of both receive them.
            socket.wait_for_price(lambda price: price["symbol"] == "^BSESN")


@pytest.mark.needs("redis-server")
def test_events_of_a_redis_outage_are_shown_after_it(
    pair: list[ServerProcess], redis_server: RedisServer
) -> None:
    a, b = pair
    trader, other = LiveTrader(a), LiveTrader(a)
    trader.open_portfolio()
    with Listener(b, trader.token) as there, Listener(b, other.token) as elsewhere:
        for socket, whose in ((there, trader), (elsewhere, other)):
            assert socket.call("join", user_id=whose.client_id)["ok"]
        redis_server.kill()
        trader.create_trade()

        redis_server.start()

        there.wait_for_update(lambda update: update["seq"] == 1)
        trader.create_trade()
        there.wait_for_update(lambda update: update["seq"] == 2)
        assert [update["seq"] for update in there.updates] == [1, 2]
        assert elsewhere.updates == []


@pytest.mark.needs("redis-server")
def test_a_redis_outage_and_its_end_are_each_logged_once(
    server: ServerProcess, redis_server: RedisServer
) -> None:
    def readiness() -> tuple[int, str, str]:
        answer = server.request("GET", "/health/ready")
        body = answer.json()
        return answer.status_code, body["status"], body["checks"]["redis"]["status"]

    def lines_of_redis() -> list[str]:
        lines = server.output().splitlines()
        return [line for line in lines if line[:2] == "20" and "redis" in line.lower()]

    eventually(lambda: readiness() == (200, "ok", "ok"))
    assert not lines_of_redis()

    redis_server.kill()
    eventually(lambda: readiness() == (200, "degraded", "degraded"))
    for _ in range(3):
        # Counting, publishing and listening each fail and each are reported.
        assert server.request("GET", "/market/live/NIFTY").status_code == 200
    assert [("WARNING" in line, "does not respond" in line) for line in lines_of_redis()] == [
        (True, True)
    ]

    redis_server.start()
    eventually(lambda: readiness() == (200, "ok", "ok"))
    assert lines_of_redis()[-1].endswith("WARNING Redis responds again")
    assert len(lines_of_redis()) == 2


@pytest.mark.needs("redis-server")
def test_without_redis_requests_flow_and_own_events_arrive(
    server: ServerProcess, redis_server: RedisServer
) -> None:
    trader = LiveTrader(server)
    trader.open_portfolio()
    with Listener(server, trader.token) as socket:
        socket.call("join", user_id=trader.client_id)
        trader.create_trade()

        redis_server.kill()

        for _ in range(10):
            trader.create_trade()
        socket.wait_for_update(lambda update: update["seq"] == 11)
        assert [update["seq"] for update in socket.updates] == list(range(1, 12))
        assert server.request("GET", "/health/ready").status_code == 200
        LiveTrader(server).open_portfolio()
    assert server.stop(timeout=3) == 0
    redis_server.start()
