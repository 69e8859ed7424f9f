"""A database that crashes between a commit and its reply: each change happens exactly once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo.errors import PyMongoError

from app.database.transactions import resolve_unknown_outcomes, run_transaction
from app.events import events_committed, record_events, republish_unconfirmed
from app.extensions import socketio
from app.models import EventDraft, Notification
from app.monitor import Monitor
from app.services import now
from tests.support.concurrency import running
from tests.support.database import DatabaseServer
from tests.support.live import eventually
from tests.support.lost_reply import LosingProxy
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.users import Trader, registration

Losing = Callable[[], object]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    server = DatabaseServer(tmp_path_factory.mktemp("database")).start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def proxy(database: DatabaseServer) -> Iterator[LosingProxy]:
    with LosingProxy(database.port) as proxy:
        yield proxy


@pytest.fixture
def mongo_uri(proxy: LosingProxy) -> str:
    return f"mongodb://{proxy.address}/lost_{next(_numbers)}?{proxy.options}"


@pytest.fixture(scope="module")
def crash(database: DatabaseServer) -> Iterator[Losing]:
    """Kill the database and restart it on its data."""

    def crash() -> None:
        database.kill()
        database.start()

    # The database ends with the thread that started it, and connection threads end too soon.
    with ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(crash).result()


@pytest.fixture
def published(app: Flask) -> Iterator[list[Notification]]:
    """The events that listeners received."""
    published: list[Notification] = []

    def listen(sender: Flask, events: list[Notification]) -> None:
        published.extend(events)

    with events_committed.connected_to(listen, sender=app):
        yield published


def updates(socket: Any) -> list[tuple[str, int]]:
    """Return the updates that a socket received since the last call."""
    received = [each for each in socket.get_received() if each["name"] == "trade_update"]
    return [(each["args"][0]["event"], each["args"][0]["seq"]) for each in received]


def test_a_trade_is_opened_once(
    proxy: LosingProxy, crash: Losing, alice: Trader, published: list[Notification]
) -> None:
    with proxy.losing_a_commit(crash):
        answer = alice.create_trade()

    assert answer.status_code == 201
    (trade,) = alice.trades()
    assert trade["trade_id"] == answer.get_json()["trade_id"]
    assert alice.portfolio()["utilized_margin"] == 5_000
    assert [notification["type"] for notification in alice.notifications()] == ["trade_created"]
    assert [each.type for each in published] == ["trade_created"]


def test_an_exit_returns_its_first_result(
    proxy: LosingProxy,
    crash: Losing,
    monitor: Monitor,
    feed: ScriptedFeed,
    alice: Trader,
    published: list[Notification],
) -> None:
    trade_id = alice.create_trade().get_json()["trade_id"]
    feed.tick("^NSEI", 25_010)
    monitor.run_once()
    with proxy.losing_a_commit(crash):
        answer = alice.post(f"/trades/exit/{trade_id}")

    assert answer.status_code == 200
    assert answer.get_json()["pnl"] == 10
    assert alice.portfolio()["total_pnl"] == 10
    assert [each.type for each in published] == ["trade_created", "trade_exited"]


def test_triggered_trades_are_closed_and_published_once(
    proxy: LosingProxy,
    crash: Losing,
    monitor: Monitor,
    feed: ScriptedFeed,
    alice: Trader,
    published: list[Notification],
) -> None:
    for _ in range(2):
        alice.create_trade(target_price=25_010)
    published.clear()
    feed.tick("^NSEI", 25_020)
    with proxy.losing_a_commit(crash):
        monitor.run_once()

    assert [trade["status"] for trade in alice.trades()] == ["TARGET_HIT"] * 2
    assert [(each.type, each.seq) for each in published] == [
        ("trade_auto_closed", 3),
        ("trade_auto_closed", 4),
    ]


def test_an_alert_is_set_fired_and_deleted_once(
    proxy: LosingProxy,
    crash: Losing,
    monitor: Monitor,
    feed: ScriptedFeed,
    clock: ManualClock,
    alice: Trader,
    published: list[Notification],
) -> None:
    with proxy.losing_a_commit(crash):
        set_up = alice.post("/market/alerts", {"symbol": "^NSEI", "above": 25_010})
    assert set_up.status_code == 201
    assert len(alice.get("/market/alerts").get_json()["alerts"]) == 1
    clock.advance(1)
    feed.tick("^NSEI", 25_020)
    with proxy.losing_a_commit(crash):
        monitor.run_once()
    assert [each.type for each in published] == ["price_alert"]
    path = f"/market/alerts/{set_up.get_json()['alert_id']}"
    with proxy.losing_a_commit(crash):
        deleted = alice.client.delete(path, headers=alice.headers)

    assert deleted.status_code == 200
    assert alice.get("/market/alerts").get_json()["alerts"] == []


def test_a_custom_event_is_sent_once(
    proxy: LosingProxy, crash: Losing, alice: Trader, published: list[Notification]
) -> None:
    with proxy.losing_a_commit(crash):
        answer = alice.post("/notifications", {"event": "note", "message": "Hello"})

    assert answer.status_code < 300
    assert [notification["message"] for notification in alice.notifications()] == ["Hello"]
    assert [each.message for each in published] == ["Hello"]


def test_a_registration_succeeds(proxy: LosingProxy, crash: Losing, client: FlaskClient) -> None:
    with proxy.losing_a_commit(crash):
        answer = client.post("/auth/register", json=registration())

    assert answer.status_code == 201


def test_an_unconfirmed_result_is_published_after_the_outage(
    app: Flask,
    proxy: LosingProxy,
    database: DatabaseServer,
    crash: Losing,
    monitor: Monitor,
    alice: Trader,
    bob: Trader,
) -> None:
    sockets = []
    for trader in (alice, bob):
        socket = socketio.test_client(app, auth={"token": trader.token})
        assert socket.emit("join", {"user_id": trader.client_id}, callback=True)["ok"]
        sockets.append(socket)
    draft = EventDraft(alice.client_id, "note", "Hello", {"message": "Hello"})
    with app.app_context():
        with proxy.losing_a_commit(database.kill), pytest.raises(PyMongoError):
            run_transaction(
                lambda: record_events([draft], now()),
                user_ids=[alice.client_id],
                timeout_seconds=1,
            )
        with pytest.raises(PyMongoError):
            republish_unconfirmed()
        crash()
    with running(monitor):
        eventually(lambda: updates(sockets[0]) == [("note", 1)])

        assert updates(sockets[1]) == []
    doubtful: list[str] = []
    with app.app_context():
        resolve_unknown_outcomes(doubtful.append)
    assert doubtful == []


def test_a_broken_connection_is_not_treated_as_a_crash(proxy: LosingProxy, alice: Trader) -> None:
    with proxy.losing_a_commit(lambda: None):
        answer = alice.create_trade()

    assert answer.status_code == 201
    assert len(alice.trades()) == 1
