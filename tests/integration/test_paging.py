"""Pages of a few hundred documents, newest first."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from bson import ObjectId
from flask import Flask

from app.database import collection
from app.domain.trade import TradeStatus
from app.extensions import mongo
from app.models import Notification, Trade
from app.models.paging import MAX_WINDOW
from tests.support.factories import PORTFOLIO_ID, create_users, draft, insert_trade, notify

COUNT = 320


@pytest.fixture(autouse=True, params=["SecantusDB", "MongoDB"])
def server(
    request: pytest.FixtureRequest, app_context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read the pages as from either server."""
    monkeypatch.setattr(mongo, "is_secantus", request.param == "SecantusDB")


@pytest.fixture(autouse=True)
def many_trades(server: None) -> None:
    """Insert trades of alice, every third in another symbol, every tenth cancelled."""
    template = insert_trade(1)
    document = collection("trades").find_one({"_id": template.id})
    assert document is not None
    collection("trades").insert_many(
        {
            **document,
            "_id": ObjectId(),
            "number": number,
            "symbol": "TCS.NS" if number % 3 == 0 else "^NSEI",
            "status": "CANCELLED" if number % 10 == 0 else "ACTIVE",
        }
        for number in range(2, COUNT + 1)
    )
    insert_trade(1, "bob")


def pages(limit: int, **filters: Any) -> list[list[int]]:
    """Return the numbers of all pages, each page read from the end of the previous one."""
    pages: list[list[int]] = []
    below = COUNT + 1
    while found := Trade.find_by_user_id(
        "alice", PORTFOLIO_ID, below=below, limit=limit, **filters
    ):
        pages.append([each.number for each in found])
        below = found[-1].number
    return pages


def test_pages_are_newest_first_and_complete() -> None:
    read = pages(50)

    assert [len(page) for page in read] == [50] * 6 + [20]
    assert list(chain(*read)) == list(range(COUNT, 0, -1))


def test_a_filter_fills_its_pages_from_older_documents() -> None:
    read = pages(5, status=TradeStatus.CANCELLED, symbol="TCS.NS")

    assert read == [[300, 270, 240, 210, 180], [150, 120, 90, 60, 30]]


def test_a_filter_that_matches_nothing_returns_no_page() -> None:
    assert pages(5, status=TradeStatus.LIQUIDATED) == []
    assert pages(5, symbol="INFY.NS") == []


def test_the_oldest_trade_is_on_the_last_page() -> None:
    assert pages(319)[-1] == [1]
    assert Trade.find_by_user_id("alice", PORTFOLIO_ID, below=1, limit=5) == []


def test_documents_behind_a_wide_gap_of_numbers_are_found() -> None:
    far = 5 * MAX_WINDOW
    insert_trade(far)

    found = Trade.find_by_user_id("alice", PORTFOLIO_ID, below=far + 1, limit=2)

    assert [each.number for each in found] == [far, COUNT]


def test_unread_notifications_are_paged_too() -> None:
    create_users("alice")
    events = notify(*(draft() for _ in range(60)))
    read = [event.id for event in events if event.seq % 2]
    collection("notifications").update_many({"_id": {"$in": read}}, {"$set": {"is_read": True}})

    def seqs(unread: bool | None, below: int = 61) -> list[int]:
        found = Notification.find_by_user_id("alice", below=below, limit=20, unread=unread)
        return [each.seq for each in found]

    assert seqs(unread=None) == list(range(60, 40, -1))
    assert seqs(unread=True) == list(range(60, 20, -2))
    assert seqs(unread=True, below=22) == list(range(20, 0, -2))
    assert seqs(unread=False) == list(range(59, 19, -2))
