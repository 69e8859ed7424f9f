"""Two servers on one configured database, connected by Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import Listener, LiveTrader, eventually
from tests.support.recording_files import falling_and_rising, standing_still, write_recording
from tests.support.redis_server import RedisServer
from tests.support.server import ServerProcess

MakeServer = Callable[..., ServerProcess]


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    own = RedisServer(tmp_path).start()
    yield own
    own.kill()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_recording(tmp_path / "day.csv", falling_and_rising())


@pytest.fixture
def make_pair(make_server: MakeServer, mongo_uri: str) -> Callable[..., list[ServerProcess]]:
    """Start two servers on one database, which take each other's tokens."""
    shared = {"MONGO_URI": mongo_uri, "JWT_SECRET_KEY": "a-secret-of-both-" + "5e" * 16}

    def make(**environment: object) -> list[ServerProcess]:
        servers = [make_server(name, **shared, **environment) for name in "ab"]
        return [server.start() for server in servers]

    return make


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


def test_two_servers_settle_each_trade_once(
    make_pair: Callable[..., list[ServerProcess]], recording: Path
) -> None:
    a, b = make_pair(MARKET_DATA="replay", REPLAY_FILE=recording)
    trader = LiveTrader(a)
    trader.open_portfolio()
    for _ in range(5):
        trader.create_trade(stop_loss=trader.price() - 20.5)

    trader.server = b
    eventually(lambda: all(each["status"] == "STOP_LOSS_HIT" for each in trader.trades()))

    portfolio = trader.portfolio()
    pnl = sum(each["pnl"] for each in trader.trades())
    assert portfolio["total_pnl"] == round(pnl, 2)
    assert portfolio["utilized_margin"] == 0
    events = trader.get("/notifications").json()["notifications"]
    assert [each["type"] for each in events].count("trade_auto_closed") == 5


@pytest.mark.needs("redis-server")
def test_limits_are_counted_together(
    make_pair: Callable[..., list[ServerProcess]], redis_server: RedisServer
) -> None:
    a, b = make_pair(
        REDIS_URL=redis_server.url, RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="6 per hour"
    )

    answers = [server.request("GET", "/market/live/NIFTY") for _ in range(4) for server in (a, b)]

    assert [each.status_code for each in answers] == [200] * 6 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0


@pytest.mark.needs("redis-server")
def test_failed_sign_ins_and_unknown_addresses_are_counted_together_and_without_redis_too(
    make_pair: Callable[..., list[ServerProcess]], redis_server: RedisServer
) -> None:
    a, b = make_pair(
        REDIS_URL=redis_server.url, RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="20 per hour"
    )
    guess = {"email": "nobody@example.com", "password": "a guess"}

    def statuses(method: str, path: str, times: int, **kwargs: Any) -> list[int]:
        turns = [server for _ in range(times) for server in (a, b)]
        return [each.request(method, path, **kwargs).status_code for each in turns]

    assert statuses("POST", "/auth/login", 4, json=guess) == [401] * 6 + [429] * 2
    assert statuses("GET", "/nope", 11) == [404] * 20 + [429] * 2

    redis_server.kill()

    # Each server counts by itself, from zero.
    found = statuses("POST", "/auth/login", 7, json=guess)
    assert found == [401] * 12 + [429] * 2
    assert statuses("GET", "/nope", 21) == [404] * 40 + [429] * 2
    handshake = a.request("GET", "/socket.io/?EIO=4&transport=polling")
    assert handshake.status_code == 200


@pytest.mark.needs("redis-server")
def test_events_of_one_server_reach_sockets_of_another_once_and_in_order(
    make_pair: Callable[..., list[ServerProcess]], redis_server: RedisServer, async_mode: str
) -> None:
    a, b = make_pair(REDIS_URL=redis_server.url, SOCKETIO_ASYNC_MODE=async_mode)
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
    make_pair: Callable[..., list[ServerProcess]], redis_server: RedisServer, async_mode: str
) -> None:
    a, b = make_pair(REDIS_URL=redis_server.url, SOCKETIO_ASYNC_MODE=async_mode)
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
def test_without_redis_requests_flow_and_own_events_arrive(
    make_server: MakeServer, redis_server: RedisServer, tmp_path: Path, async_mode: str
) -> None:
    server = make_server(
        REDIS_URL=redis_server.url,
        RATELIMIT_ENABLED="true",
        SOCKETIO_ASYNC_MODE=async_mode,
        MARKET_DATA="replay",
        REPLAY_FILE=write_recording(tmp_path / "day.csv", standing_still()),
    ).start()
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


@pytest.mark.needs("redis-server")
def test_a_redis_outage_and_its_end_are_each_logged_once(
    make_server: MakeServer, redis_server: RedisServer, async_mode: str
) -> None:
    server = make_server(
        REDIS_URL=redis_server.url, RATELIMIT_ENABLED="true", SOCKETIO_ASYNC_MODE=async_mode
    ).start()

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
