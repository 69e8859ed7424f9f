"""`since` replays missed events in order before the live ones; no event comes twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from flask import Flask

from app.database.transactions import run_transaction
from app.events import publish_events
from app.models import EventDraft, Inbox, Notification
from app.realtime.rooms import REPLAY_PAGE, UserRooms
from app.services import now
from tests.support.concurrency import run_concurrently
from tests.support.factories import assert_portfolio_balances
from tests.support.sockets import Socket
from tests.support.users import Trader

Connect = Callable[..., Socket]


def record_events(app: Flask, trader: Trader, count: int) -> list[Notification]:
    """Commit events of the user in one transaction, without publishing them."""
    draft = EventDraft(user_id=trader.client_id, type="note", message="x", data={})
    with app.app_context():
        return run_transaction(lambda: Notification.create([draft] * count, now()))


def seqs(updates: list[dict[str, Any]]) -> list[int]:
    return [each["seq"] for each in updates]


@pytest.mark.parametrize(("since", "replayed"), [(0, [1, 2, 3]), (1, [2, 3]), (3, []), (99, [])])
def test_each_missed_event_is_replayed_in_order_and_then_the_live_ones(
    connect: Connect, alice: Trader, since: int, replayed: list[int]
) -> None:
    for _ in range(3):
        alice.create_trade()
    socket = connect(alice.token)

    answer = socket.call("join", {"user_id": alice.client_id, "since": since})
    alice.create_trade()

    assert answer["seq"] == 3
    assert seqs(socket.rest("trade_update")) == [*replayed, 4]


def test_a_replayed_event_is_the_one_that_was_sent(connect: Connect, alice: Trader) -> None:
    live = connect(alice.token)
    live.call("join", {"user_id": alice.client_id})
    trade = alice.create_trade(stop_loss=24_000).get_json()
    alice.post(f"/trades/exit/{trade['trade_id']}")
    late = connect(alice.token)
    late.call("join", {"user_id": alice.client_id, "since": 0})

    assert late.rest("trade_update") == live.rest("trade_update")


def test_a_replay_goes_to_the_socket_that_asked_alone(connect: Connect, alice: Trader) -> None:
    other = connect(alice.token)
    other.call("join", {"user_id": alice.client_id})
    alice.create_trade()
    socket = connect(alice.token)
    socket.call("join", {"user_id": alice.client_id, "since": 0})

    assert seqs(other.rest("trade_update")) == [1]
    assert seqs(socket.rest("trade_update")) == [1]


def test_without_since_nothing_old_comes(connect: Connect, alice: Trader) -> None:
    alice.create_trade()
    socket = connect(alice.token)
    assert socket.call("join", {"user_id": alice.client_id})["seq"] == 1

    assert socket.rest("trade_update") == []


def test_a_reconnected_socket_gets_the_events_it_missed(connect: Connect, alice: Trader) -> None:
    first = connect(alice.token)
    first.call("join", {"user_id": alice.client_id})
    alice.create_trade()
    seen = seqs(first.rest("trade_update"))
    first.close()
    for _ in range(2):
        alice.create_trade()

    again = connect(alice.token)
    again.call("join", {"user_id": alice.client_id, "since": seen[-1]})
    alice.create_trade()
    assert seen + seqs(again.rest("trade_update")) == [1, 2, 3, 4]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_more_than_a_page_is_replayed_whole(
    app: Flask, connect: Connect, alice: Trader, transport: str
) -> None:
    count = 2 * REPLAY_PAGE + 7
    record_events(app, alice, count)
    socket = connect(alice.token, transport=transport)

    socket.call("join", {"user_id": alice.client_id, "since": 2})
    alice.create_trade()

    assert seqs(socket.updates_until(count + 1)) == list(range(3, count + 2))


def test_joining_while_events_keep_coming_neither_loses_nor_repeats_any(
    app: Flask, connect: Connect, alice: Trader
) -> None:
    record_events(app, alice, REPLAY_PAGE + 50)
    enough = threading.Event()
    traders = [replace(alice, client=app.test_client()) for _ in range(2)]

    def trade_on(trader: Trader) -> None:
        while not enough.is_set():
            trade = trader.create_trade(symbol="RELIANCE").get_json()
            trader.post(f"/trades/exit/{trade['trade_id']}")

    def join_repeatedly() -> list[tuple[int, Socket]]:
        try:
            sockets: list[tuple[int, Socket]] = []
            for since in (0, REPLAY_PAGE, 0, 5, REPLAY_PAGE + 49, 0):
                socket = connect(alice.token)
                answer = socket.call("join", {"user_id": alice.client_id, "since": since})
                assert answer["ok"] is True
                sockets.append((since, socket))
            return sockets
        finally:
            enough.set()

    calls: list[Callable[[], Any]] = [partial(trade_on, trader) for trader in traders]
    *_, sockets = run_concurrently([*calls, join_repeatedly])

    inbox = Inbox.find(alice.client_id)
    assert inbox is not None
    assert inbox.event_seq > REPLAY_PAGE + 50
    for since, socket in sockets:
        received = seqs(socket.updates_until(inbox.event_seq))
        assert received == list(range(since + 1, inbox.event_seq + 1))
        assert socket.rest("trade_update") == []
    assert_portfolio_balances(alice.client_id)


def test_events_published_out_of_order_are_sent_in_order(
    app: Flask, connect: Connect, alice: Trader, rooms: UserRooms
) -> None:
    socket = connect(alice.token)
    socket.call("join", {"user_id": alice.client_id})
    events = record_events(app, alice, 6)

    with app.app_context():
        for number in (3, 1, 2, 6, 6, 4, 5):
            rooms.publish(app, [events[number - 1]])

    assert seqs(socket.rest("trade_update")) == [1, 2, 3, 4, 5, 6]


def test_events_published_at_once_by_many_threads_are_sent_in_order(
    app: Flask, connect: Connect, alice: Trader, rooms: UserRooms
) -> None:
    sockets = [connect(alice.token) for _ in range(2)]
    for socket in sockets:
        socket.call("join", {"user_id": alice.client_id})
    events = record_events(app, alice, 40)

    def publish(event: Notification) -> None:
        with app.app_context():
            rooms.publish(app, [event])

    run_concurrently([partial(publish, event) for event in reversed(events)])

    for socket in sockets:
        assert seqs(socket.rest("trade_update")) == list(range(1, 41))


def test_an_unpublished_event_comes_with_the_next_one(
    app: Flask, connect: Connect, alice: Trader
) -> None:
    socket = connect(alice.token)
    socket.call("join", {"user_id": alice.client_id})
    record_events(app, alice, 2)  # as of a process that died before it could tell
    alice.create_trade()

    assert seqs(socket.rest("trade_update")) == [1, 2, 3]


def test_catching_up_shows_the_events_of_another_process(
    app: Flask, connect: Connect, alice: Trader, rooms: UserRooms
) -> None:
    socket = connect(alice.token)
    socket.call("join", {"user_id": alice.client_id})
    events = record_events(app, alice, 2)
    with app.app_context():
        rooms.catch_up(alice.client_id)
        rooms.catch_up("nobody-here")
        publish_events(events)

    assert seqs(socket.rest("trade_update")) == [1, 2]
