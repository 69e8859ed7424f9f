"""The relay, with a Redis server: each process hears of the users whose sockets it has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import redis
from flask import Flask

from app.database.transactions import run_transaction
from app.events import record_events
from app.models import EventDraft
from app.monitor import Monitor
from app.realtime.relay import PRICES, USER_CHANNEL
from app.services import now
from tests.support.live import eventually
from tests.support.market import ScriptedFeed
from tests.support.redis_server import RedisServer
from tests.support.sockets import Socket
from tests.support.users import Trader

pytestmark = pytest.mark.needs("redis-server")

Connect = Callable[..., Socket]


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


@pytest.fixture
def variables(redis_server: RedisServer) -> dict[str, Any]:
    return {"REDIS_URL": redis_server.url}


@pytest.fixture
def other_process(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """What another process has: a client of Redis."""
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        yield client


def channels(client: redis.Redis) -> list[str]:
    """Return the users whose channel any process is subscribed to."""
    names: Any = client.pubsub_channels(f"{USER_CHANNEL}*")
    return sorted(name.removeprefix(USER_CHANNEL) for name in names)


def listeners(client: redis.Redis) -> int:
    """Return how many processes receive the prices of others."""
    (count,) = dict(client.pubsub_numsub(PRICES)).values()
    return int(count)


def write_event(app: Flask, trader: Trader) -> None:
    """Commit an event as another process does: without publishing it here."""
    with app.app_context():
        draft = EventDraft(trader.client_id, "trade_created", "A trade.", {})
        run_transaction(lambda: record_events([draft], now()), user_ids=[trader.client_id])


def seqs(socket: Socket, up_to: int) -> list[int]:
    return [update["seq"] for update in socket.updates_until(up_to)]


def test_a_process_is_subscribed_to_the_users_of_its_sockets_only(
    connect: Connect, other_process: redis.Redis, alice: Trader, bob: Trader
) -> None:
    one, again, other = connect(alice.token), connect(alice.token), connect(bob.token)
    for socket, trader in ((one, alice), (again, alice), (other, bob)):
        assert socket.call("join", {"user_id": trader.client_id})["ok"]
    eventually(lambda: channels(other_process) == sorted([alice.client_id, bob.client_id]))

    other.close()
    one.close()
    eventually(lambda: channels(other_process) == [alice.client_id])

    again.call("leave", {"user_id": alice.client_id})
    eventually(lambda: channels(other_process) == [])
    # A room that opens again has its channel again.
    again.call("join", {"user_id": alice.client_id})
    eventually(lambda: channels(other_process) == [alice.client_id])


def test_events_of_another_process_arrive_once_and_in_order(
    app: Flask, connect: Connect, other_process: redis.Redis, alice: Trader
) -> None:
    socket = connect(alice.token)
    assert socket.call("join", {"user_id": alice.client_id})["ok"]
    eventually(lambda: channels(other_process) == [alice.client_id])

    for _ in range(3):
        write_event(app, alice)
        other_process.publish(USER_CHANNEL + alice.client_id, "")
    # A repeated notice shows nothing twice.
    other_process.publish(USER_CHANNEL + alice.client_id, "")

    assert seqs(socket, 3) == [1, 2, 3]
    assert socket.rest("trade_update") == []


def test_events_of_an_outage_of_redis_and_of_rooms_opened_in_it_arrive_after_it(
    app: Flask,
    connect: Connect,
    redis_server: RedisServer,
    other_process: redis.Redis,
    alice: Trader,
    bob: Trader,
) -> None:
    sockets = [connect(trader.token) for trader in (alice, bob)]
    assert sockets[0].call("join", {"user_id": alice.client_id})["ok"]
    eventually(lambda: channels(other_process) == [alice.client_id])
    redis_server.kill()
    write_event(app, alice)
    assert sockets[1].call("join", {"user_id": bob.client_id})["ok"]
    write_event(app, bob)

    redis_server.start()

    for socket in sockets:
        assert seqs(socket, 1) == [1]
    assert channels(other_process) == sorted([alice.client_id, bob.client_id])


def test_prices_of_another_process_come_in_one_message_to_sockets_that_ask_for_it(
    connect: Connect, other_process: redis.Redis
) -> None:
    socket, other = connect(), connect()
    assert socket.call("subscribe", {"symbols": ["TCS"], "batch": True})["ok"]
    assert other.call("subscribe", {"symbols": ["TCS"]})["ok"]
    socket.rest("live_prices")
    other.rest("live_price")
    eventually(lambda: listeners(other_process))
    payloads = [{"symbol": symbol, "price": 7.0} for symbol in ("TCS.NS", "INFY.NS", "^NSEI")]

    prices = {each["symbol"]: json.dumps(each) for each in payloads}
    other_process.publish(PRICES, f"another {json.dumps(prices)}")

    received = {each["symbol"]: each["price"] for each in socket.next("live_prices")}
    assert received == {"TCS.NS": 7.0, "^NSEI": 7.0}
    assert socket.rest("live_prices") == other.rest("live_prices") == []


def test_prices_of_a_pass_reach_other_processes_and_come_once_to_the_own_sockets(
    connect: Connect, other_process: redis.Redis, feed: ScriptedFeed, monitor: Monitor
) -> None:
    socket = connect()
    assert socket.call("subscribe", {"symbols": ["TCS"], "batch": True})["ok"]
    socket.rest("live_prices")
    # redis-py has no types for this method.
    with other_process.pubsub() as channel:  # type: ignore[no-untyped-call]
        channel.subscribe(PRICES)
        # Its confirmation is the first message.
        messages = islice(channel.listen(), 3)
        assert next(messages)["type"] == "subscribe"
        for price in (3_001, 3_002):
            feed.tick("TCS.NS", price)
            monitor.run_once()
        sent = [message["data"] for message in messages]

    encoded = [json.loads(text.partition(" ")[2])["TCS.NS"] for text in sent]
    received = [socket.next("live_prices") for _ in range(2)]
    assert [[json.loads(each)] for each in encoded] == received
    assert socket.rest("live_prices") == []
