"""Indexes: frequent queries read only the documents they return."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from bson import ObjectId
from flask import Flask
from pymongo.cursor import Cursor

from app.database import Document
from app.database.indexes import INDEXES, create_indexes
from app.models import Notification, Trade
from app.models import alert as alerts
from app.models import trade as trades
from app.models.trigger_index import TriggerIndex
from tests.support.factories import PORTFOLIO_ID, create_users, draft, insert_trade, notify
from tests.support.own_client import collection
from tests.support.quotes import NOON

pytestmark = pytest.mark.usefixtures("app_context")


OF_ONE = {"user_id": "alice", "portfolio_id": PORTFOLIO_ID}


def plan(find: Cursor[Document]) -> str:
    """Return the query plan of a find as text."""
    explained: dict[str, Any] = find.explain()
    return json.dumps(explained["queryPlanner"]["winningPlan"], default=str)


@pytest.fixture
def many_trades(app_context: Flask) -> None:
    """Create 200 open trades with triggers from 1 up, and the history of one user."""
    trade = insert_trade()
    document = collection("trades").find_one({"_id": trade.id})
    assert document is not None
    collection("trades").insert_many(
        {
            **document,
            "_id": ObjectId(),
            "number": number,
            "trigger_below": Decimal(number),
            "trigger_above": Decimal(number + 10_000),
        }
        for number in range(2, 202)
    )


@pytest.mark.usefixtures("many_trades")
def test_the_trades_that_a_tick_triggers_are_found_by_an_index() -> None:
    below, above = trades.INDEX.queries("^NSEI", Decimal(199), Decimal(10_003))

    for query, bound in ((below, "trigger_below"), (above, "trigger_above")):
        winning = plan(collection("trades").find(query))
        assert "IXSCAN" in winning
        assert "COLLSCAN" not in winning
        assert bound in winning


@pytest.mark.parametrize(
    ("book", "field"), [(trades.INDEX, "trigger_above"), (alerts.INDEX, "above")]
)
def test_trades_without_an_upper_level_are_not_read(book: TriggerIndex, field: str) -> None:
    """Null sorts before every number in an index: a range without a lower bound reads them all."""
    _, above = book.queries("^NSEI", Decimal(1), Decimal(2))

    assert above[field] == {"$gt": 0, "$lte": 2}


@pytest.mark.usefixtures("many_trades")
def test_the_two_queries_of_a_tick_return_exactly_the_triggered_trades() -> None:
    low = list(Trade.find_triggered("^NSEI", Decimal("199.50"), Decimal(5_000)))
    high = list(Trade.find_triggered("^NSEI", Decimal(5_000), Decimal("10003.50")))
    quiet = list(Trade.find_triggered("^NSEI", Decimal(5_000), Decimal(5_001)))
    elsewhere = list(Trade.find_triggered("TCS.NS", Decimal(1), Decimal(20_000)))

    assert sorted(each.number for each in low if each.number > 1) == [200, 201]
    assert {each.number for each in high} >= {2, 3}
    assert len(high) == 3
    # The first trade's target, 120, is below all these prices.
    assert [each.number for each in quiet] == [1]
    assert elsewhere == []


@pytest.mark.usefixtures("many_trades")
def test_a_trade_reached_at_both_levels_is_found_once() -> None:
    found = list(Trade.find_triggered("^NSEI", Decimal(1), Decimal(20_000)))

    assert len(found) == len({each.id for each in found}) == 201


@pytest.mark.parametrize(
    "query",
    [{"deliver_at": {"$lte": NOON}}, {"deliver_at": {"$gt": NOON - timedelta(days=1)}}],
)
def test_due_deliveries_are_found_by_an_index(query: Document) -> None:
    create_users("alice")
    events = notify(*(draft() for _ in range(200)))
    taken = Notification.claim(
        {event.id: event.user_id for event in events[5:]}, NOON, timedelta(minutes=2)
    )
    done = [(notification, notification.deliveries, None) for notification in taken.notifications]
    Notification.record_deliveries(taken.mark, done)

    winning = plan(collection("notifications").find(query).sort("deliver_at", 1).limit(10))

    assert "IXSCAN" in winning
    assert "COLLSCAN" not in winning


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("users", {"client_id": "alice"}),
        ("users", {"email": "alice@example.com"}),
        ("portfolios", {"user_id": "alice", "name": "default"}),
        ("inboxes", {"_id": {"$in": ["alice", "bob"]}}),
        ("trades", {**OF_ONE, "number": {"$gte": 1, "$lt": 50}}),
        ("trades", {**OF_ONE, "status": "ACTIVE", "number": {"$gte": 1, "$lt": 50}}),
        ("trades", {**OF_ONE, "status": "ACTIVE"}),
        ("trades", {**OF_ONE, "closed_at": {"$gte": NOON, "$lt": NOON}}),
        ("movements", {**OF_ONE, "created_at": {"$gte": NOON, "$lt": NOON}}),
        ("notifications", {"user_id": "alice", "seq": {"$gte": 1, "$lt": 50}}),
        ("notifications", {"user_id": "alice", "is_read": False, "seq": {"$gte": 1, "$lt": 50}}),
    ],
)
def test_queries_of_requests_use_an_index(name: str, query: Document) -> None:
    winning = plan(collection(name).find(query))

    assert "IXSCAN" in winning
    assert "COLLSCAN" not in winning


def test_creating_the_indexes_again_changes_nothing() -> None:
    before = {name: collection(name).index_information() for name in INDEXES}

    create_indexes()

    assert {name: collection(name).index_information() for name in INDEXES} == before
    assert all(len(before[name]) == len(models) + 1 for name, models in INDEXES.items())
