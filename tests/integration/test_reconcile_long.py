"""Reconciling long histories, and books that change while they are read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId
from flask import Flask

from app.database import Document
from app.models.paging import PASS_SIZE
from app.portfolio.reconciliation import StillChanging, find_differences, repair
from tests.support.faults import before_command, before_commands, recording_commands
from tests.support.own_client import collection
from tests.support.users import Trader

COUNT = 2 * PASS_SIZE + 1


@pytest.fixture
def history(alice: Trader) -> None:
    """Give alice COUNT closed trades, each with an event, and one that is active."""
    trade_id = alice.create_trade().get_json()["trade_id"]
    alice.post(f"/trades/exit/{trade_id}")
    trade = collection("trades").find_one({"user_id": alice.client_id})
    event = collection("notifications").find_one({"user_id": alice.client_id, "seq": 2})
    assert trade
    assert event
    for name, field, document, first in (
        ("trades", "number", trade, 2),
        ("notifications", "seq", event, 3),
    ):
        copies = [{**document, "_id": ObjectId(), field: first + each} for each in range(COUNT - 1)]
        collection(name).insert_many(copies)
    counts = {"trade_count": COUNT - 1, "closed_count": COUNT - 1}
    collection("portfolios").update_one({"user_id": alice.client_id}, {"$inc": counts})
    collection("inboxes").update_one({"_id": alice.client_id}, {"$inc": {"event_seq": COUNT - 1}})
    alice.create_trade(quantity=2)


@pytest.mark.usefixtures("history")
def test_a_long_history_is_read_in_pages_and_shows_its_progress(app: Flask, alice: Trader) -> None:
    pages: list[int] = []
    with app.app_context(), recording_commands() as commands:
        assert find_differences(alice.client_id, pages.append) == []

    assert sum(pages) == COUNT + 1
    assert max(pages) <= PASS_SIZE
    for name, field in (("trades", "number"), ("notifications", "seq")):
        finds = [each["filter"][field] for each in commands if each.get("find") == name]
        # Each is of a page, but one that finds nothing after the last.
        assert finds
        for bounds in finds:
            low, high = bounds.get("$gte"), bounds.get("$lte", bounds.get("$lt"))
            assert high - low <= PASS_SIZE if high else bounds["$gt"] > COUNT


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("field", ["trade_count", "event_seq"])
def test_a_count_that_is_too_low_by_pages_is_found_and_repaired(
    app: Flask, alice: Trader, field: str
) -> None:
    name, key = ("inboxes", "_id") if field == "event_seq" else ("portfolios", "user_id")
    query = {key: alice.client_id}
    sound = collection(name).find_one(query)
    collection(name).update_one(query, {"$set": {field: 1}})

    with app.app_context():
        (difference,) = repair(alice.client_id)
        assert (difference.field, difference.recorded) == (field, 1)
        assert find_differences(alice.client_id) == []
    assert collection(name).find_one(query) == sound


def test_a_trade_that_closes_meanwhile_is_no_difference(app: Flask, alice: Trader) -> None:
    trade_id = alice.create_trade().get_json()["trade_id"]

    def close() -> None:
        assert alice.post(f"/trades/exit/{trade_id}").status_code == 200

    with app.app_context():
        with before_command("find", "trades", elsewhere(close)):
            assert find_differences(alice.client_id) == []
        assert find_differences(alice.client_id) == []
    assert alice.trades()[0]["status"] == "CLOSED"


def test_a_repair_of_books_that_change_meanwhile_begins_again(app: Flask, alice: Trader) -> None:
    trade_id = alice.create_trade().get_json()["trade_id"]
    books = {"user_id": alice.client_id}
    collection("portfolios").update_one(books, {"$inc": {"closed_count": 3}})

    def close() -> None:
        assert alice.post(f"/trades/exit/{trade_id}").status_code == 200

    with app.app_context():
        with after_the_comparison(close):
            (difference,) = repair(alice.client_id)
        # The trade that closed counts.
        assert difference.recomputed == 1
        assert find_differences(alice.client_id) == []
    assert alice.trades()[0]["status"] == "CLOSED"


def test_a_repair_gives_up_if_the_books_change_every_time(app: Flask, alice: Trader) -> None:
    alice.create_trade()
    books = {"user_id": alice.client_id}
    collection("portfolios").update_one(books, {"$inc": {"closed_count": 3}})

    def change() -> None:
        alice.create_trade(quantity=1, symbol="RELIANCE.NS")

    with app.app_context(), pytest.raises(StillChanging), after_the_comparison(change, times=99):
        repair(alice.client_id)
    (portfolio,) = collection("portfolios").find(books)
    assert portfolio["closed_count"] == 3


def elsewhere(work: Callable[[], object]) -> Callable[[], None]:
    """Return `work` done by another thread, outside the snapshot of this one."""

    def call() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work).result()

    return call


def after_the_comparison(work: Callable[[], object], times: int = 1) -> Any:
    """Do `work` after the last read of the comparison, which is of events."""
    left = [elsewhere(work)] * times
    this_thread, reading = threading.get_ident(), list[bool]()

    def call(command: Document) -> None:
        if threading.get_ident() != this_thread:
            return
        if command.get("find") == "notifications":
            reading.append(True)
        elif "commitTransaction" in command and reading and left:
            reading.clear()
            left.pop()()

    return before_commands(call)
