"""Reads and writes wait for a majority of the replica set, whatever the URI says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from bson import ObjectId
from flask import Flask
from pymongo import UpdateOne
from werkzeug.test import TestResponse

from app.database import collection
from app.database.transactions import run_transaction
from app.delivery.outbox import Outbox
from app.models import Notification
from tests.support.faults import FaultyDatabase, recording_commands
from tests.support.lost_reply import LaggingProxy
from tests.support.market import ManualClock
from tests.support.senders import FakeSender
from tests.support.users import Trader

MAX_TIME_EXPIRED = 50
Retry = Callable[[str, object], TestResponse]
_numbers = itertools.count(1)
WEAK = "readPreference=secondary&maxStalenessSeconds=120&readPreferenceTags=dc:a&w=1&journal=false"


@pytest.fixture(scope="module")
def proxy(faulty: FaultyDatabase) -> Iterator[LaggingProxy]:
    with LaggingProxy(faulty.port) as proxy:
        yield proxy


@pytest.fixture
def mongo_uri(proxy: LaggingProxy) -> str:
    options = f"{proxy.options}&{WEAK}&readConcernLevel=local&retryWrites=false"
    return f"mongodb://{proxy.address}/concerns_{next(_numbers)}?{options}"


def test_the_uri_cannot_weaken_what_a_read_and_a_write_wait_for(app: Flask) -> None:
    with app.app_context(), recording_commands() as commands:
        collection("counters").insert_one({"_id": 1})
        collection("counters").find_one({"_id": 1})

    insert, find = commands
    assert insert["writeConcern"] == {"w": "majority", "j": True}
    assert find["readConcern"] == {"level": "majority"}
    for command in commands:
        assert command.get("$readPreference", {"mode": "primary"})["mode"].startswith("primary")


def test_only_a_transaction_as_a_whole_waits(app: Flask) -> None:
    def write() -> None:
        collection("counters").find_one({"_id": 1})
        collection("counters").insert_one({"_id": 1})
        collection("counters").update_one({"_id": 1}, {"$set": {"n": 1}})
        collection("counters").count_documents({})
        collection("counters").bulk_write([UpdateOne({"_id": 1}, {"$set": {"n": 2}})])
        collection("counters").delete_one({"_id": 1})

    with app.app_context(), recording_commands() as commands:
        run_transaction(write)

    *statements, commit = commands
    assert len(statements) == 6
    assert not any("writeConcern" in statement for statement in statements)
    concerns = [statement.get("readConcern") for statement in statements]
    assert concerns == [{"level": "snapshot"}, None, None, None, None, None]
    assert commit["writeConcern"] == {"w": "majority", "j": True}


@pytest.fixture
def retry(proxy: LaggingProxy, faulty: FaultyDatabase, alice: Trader) -> Retry:
    """Send a request, and while its result lags, a retry; return the response to that."""

    def retry(path: str, body: object) -> TestResponse:
        headers = {**alice.headers, "Idempotency-Key": "one"}
        first = alice.client.post(path, headers=headers, json=body)
        assert first.status_code in (200, 201)
        # A commit that no majority confirms ends with its time, here at once.
        with proxy.lagging(), faulty.failing("commitTransaction", errorCode=MAX_TIME_EXPIRED):
            retried = alice.client.post(path, headers=headers, json=body)
        again = alice.client.post(path, headers=headers, json=body)
        assert again.get_json() == first.get_json()
        return retried

    return retry


@pytest.mark.parametrize("order_id", [{}, {"client_order_id": "mine"}])
def test_a_retry_is_not_answered_from_a_trade_that_a_majority_lacks(
    retry: Retry, alice: Trader, order_id: dict[str, str]
) -> None:
    body = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1, **order_id}

    assert retry("/trades/create", body).status_code == 503
    assert len(alice.trades()) == 1


def test_a_retry_is_not_answered_from_an_alert_that_a_majority_lacks(
    retry: Retry, alice: Trader
) -> None:
    assert retry("/market/alerts", {"symbol": "^NSEI", "above": 26_000}).status_code == 503
    assert len(alice.get("/market/alerts").get_json()["alerts"]) == 1


def test_a_retry_is_not_answered_from_exits_that_a_majority_lacks(
    retry: Retry, alice: Trader
) -> None:
    alice.create_trade()

    refused = retry(f"/trades/exit-all/{alice.client_id}", {})

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert "not confirmed yet" in refused.get_json()["error"]


def test_a_list_of_due_notifications_that_lags_is_not_claimed_without_end(
    app: Flask, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[datetime] = []

    def list_claimed(now: datetime) -> list[tuple[str, list[ObjectId]]]:
        listed.append(now)
        assert len(listed) < 100
        return [("alice", [ObjectId()])]

    monkeypatch.setattr(Notification, "find_due", list_claimed)

    assert Outbox(app, clock, [FakeSender("email")]).run_once() == 0
