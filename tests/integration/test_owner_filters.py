"""Each filter on a collection of the users' documents names the user, if anyone knows who it is.

A shard key that begins with `user_id` would then send every such statement to one shard.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.database import Document
from app.delivery import Outbox
from app.market_data.polled_symbols import MARK_LIFETIME
from app.monitor import Monitor
from app.monitor.retention import Limits, purge
from app.portfolio.reconciliation import find_differences
from app.services import services
from tests.support.faults import recording_commands
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.senders import FakeSender
from tests.support.users import Trader

OWNED = {"trades", "movements", "alerts", "notifications"}
# The fields of the filters that cannot name a user, and why.
EXCEPTIONS = {
    ("trades", "symbol,trigger_below,waiting"): "a price triggers the trades of all users",
    ("trades", "symbol,trigger_above,waiting"): "a price triggers the trades of all users",
    ("trades", "symbol,waiting"): "a symbol is polled while any user holds it",
    ("trades", "pending_until"): "the orders of all users expire",
    ("alerts", "above,symbol,waiting"): "a price triggers the alerts of all users",
    ("alerts", "below,symbol,waiting"): "a price triggers the alerts of all users",
    ("alerts", "symbol,waiting"): "a symbol is polled while any user has an alert on it",
    ("notifications", "deliver_at"): "one outbox sends to all users",
}


@pytest.fixture
def commands() -> Iterator[list[Document]]:
    with recording_commands() as recorded:
        yield recorded


def filters_of(command: Document) -> Iterator[tuple[str, Document]]:
    """Yield the collection and each filter of a command that has any."""
    for name, statements, field in (
        ("find", [command], "filter"),
        ("count", [command], "query"),
        ("update", command.get("updates", []), "q"),
        ("delete", command.get("deletes", []), "q"),
        ("findAndModify", [command], "query"),
        ("aggregate", command.get("pipeline", [])[:1], "$match"),
    ):
        if name in command:
            yield from ((command[name], statement.get(field, {})) for statement in statements)


def trade(user: Trader, monitor: Monitor, feed: ScriptedFeed) -> None:
    """Open, list, close and trigger trades, with and without keys."""
    keys = map(str, itertools.count())
    for order in ({"client_order_id": "mine"}, {}, {"stop_loss": 24_900}, {"stop_loss": 24_800}):
        key = {"headers": user.headers | {"Idempotency-Key": next(keys)}}
        body = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1, **order}
        for _ in range(2):
            opened = user.client.post("/trades/create", json=body, **key)
            assert opened.status_code == 201, opened.text
    ids = [each["trade_id"] for each in user.trades()]
    assert user.trades("?status=ACTIVE&symbol=^NSEI")
    assert user.get(f"/trades/{user.client_id}/{ids[0]}").status_code == 200
    assert user.post(f"/trades/exit/{ids[-1]}").status_code == 200
    feed.tick("^NSEI", 24_890)
    assert monitor.run_once().closed == 1
    key = {"headers": user.headers | {"Idempotency-Key": "all"}}
    for _ in range(2):
        assert user.client.post(f"/trades/exit-all/{user.client_id}", **key).status_code == 200
    feed.set("^NSEI", 25_000)


def move_money(user: Trader) -> None:
    for kind in ("deposit", "withdraw"):
        answer = user.post(f"/portfolio/{user.client_id}/{kind}", {"amount": 10})
        assert answer.status_code == 200
    page = user.get(f"/portfolio/{user.client_id}/activities?limit=2")
    assert len(page.get_json()["activities"]) == 2


def be_alerted(user: Trader, monitor: Monitor, feed: ScriptedFeed) -> None:
    for alert in (
        {"symbol": "^NSEI", "above": 25_100},
        {"symbol": "^NSEI", "below": 20_000},
        {"symbol": "RELIANCE.NS", "above": 2_000},
    ):
        assert user.post("/market/alerts", alert).status_code == 201
    feed.tick("^NSEI", 25_200)
    monitor.run_once()
    alerts = user.get("/market/alerts?status=ACTIVE").get_json()["alerts"]
    assert len(alerts) == 2
    deleted = user.client.delete(f"/market/alerts/{alerts[0]['alert_id']}", headers=user.headers)
    assert deleted.status_code == 200
    feed.set("^NSEI", 25_000)


def read_notifications(user: Trader) -> None:
    unread = user.notifications("?limit=500&unread=true")
    id = unread[0]["id"]
    assert user.put(f"/notifications/{id}/read").status_code == 200
    assert user.notifications()


def test_each_filter_that_knows_the_user_names_them(
    commands: list[Document],
    app: Flask,
    monitor: Monitor,
    feed: ScriptedFeed,
    clock: ManualClock,
    alice: Trader,
    bob: Trader,
) -> None:
    sender = FakeSender("email")
    outbox = Outbox(app, clock, [sender, FakeSender("sms")])
    for user in (alice, bob):
        trade(user, monitor, feed)
        move_money(user)
        be_alerted(user, monitor, feed)
        read_notifications(user)
    for _ in range(3):
        outbox.run_once()
        clock.advance(60)
    assert alice.create_trade(symbol="RELIANCE.NS").status_code == 201
    clock.advance(MARK_LIFETIME.total_seconds() + 1)
    with app.app_context():
        assert services().polled_symbols.remove_old_marks(clock.now()) == 0
        for apply in (False, True):
            purge(alice.client_id, Limits(1, 1), clock.now() + timedelta(days=2), apply=apply)
        assert find_differences(alice.client_id) == []

    assert_named(commands)


def assert_named(commands: list[Document]) -> None:
    found = [each for command in commands for each in filters_of(command) if each[0] in OWNED]
    nameless = {
        (collection, ",".join(sorted(query)))
        for collection, query in found
        if not names_user(query)
    }
    assert nameless == set(EXCEPTIONS)
    seen = {(next(iter(command)), *each) for command in commands for each in targets(command)}
    assert {(verb, name) for verb in ("find", "update") for name in OWNED - {"movements"}} <= seen


def names_user(query: Document) -> bool:
    user: Any = query.get("user_id")
    return isinstance(user, str) or (isinstance(user, dict) and bool(user.get("$in")))


def targets(command: Document) -> set[tuple[str]]:
    return {(collection,) for collection, _ in filters_of(command)}
