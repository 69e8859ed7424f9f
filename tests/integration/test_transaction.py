"""Transactions: atomic, retried after a conflict, one at a time for each user."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from flask import Flask
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteError,
)

from app.database import collection
from app.database.transactions import MAX_TRANSACTIONS, is_outage, run_transaction
from app.domain.errors import InsufficientMargin
from tests.support import own_client
from tests.support.concurrency import run_concurrently, run_in_thread

pytestmark = pytest.mark.usefixtures("app_context")


@pytest.fixture(autouse=True)
def collections(app_context: Flask) -> None:
    """Create what the transactions write to."""
    for name in ("counters", "others"):
        own_client.collection(name).insert_one({})
        own_client.collection(name).delete_many({})


def count() -> int:
    counter = collection("counters").find_one({"_id": "n"})
    return 0 if counter is None else int(counter["n"])


def test_a_transaction_commits_and_returns_its_result() -> None:
    def write() -> str:
        collection("counters").insert_one({"_id": "n", "n": 1})
        collection("others").insert_one({"_id": "m"})
        return "done"

    assert run_transaction(write) == "done"
    assert count() == 1
    assert collection("others").count_documents({}) == 1


def test_an_exception_aborts_the_transaction() -> None:
    def write() -> None:
        collection("counters").insert_one({"_id": "n", "n": 1})
        raise InsufficientMargin(Decimal(2), Decimal(1), 1)

    with pytest.raises(InsufficientMargin):
        run_transaction(write, user_ids=["alice"])

    assert count() == 0


def test_an_error_of_the_database_aborts_the_transaction() -> None:
    collection("others").insert_one({"_id": "taken"})

    def write() -> None:
        collection("counters").insert_one({"_id": "n", "n": 1})
        collection("others").insert_one({"_id": "taken"})

    with pytest.raises(DuplicateKeyError):
        run_transaction(write)

    assert count() == 0


def add_ten() -> None:
    collection("counters").update_one({"_id": "n"}, {"$inc": {"n": 10}})


def test_uncommitted_writes_are_invisible_to_others() -> None:
    def write() -> None:
        collection("counters").insert_one({"_id": "n", "n": 1})
        assert run_in_thread(count) == 0

    run_transaction(write)

    assert count() == 1


def test_a_conflicting_transaction_is_retried() -> None:
    collection("counters").insert_one({"_id": "n", "n": 0})
    attempts: list[int] = []

    def add_one() -> None:
        found = collection("counters").find_one({"_id": "n"})
        assert found is not None
        if not attempts:
            # Another client writes between the read and the write.
            run_in_thread(add_ten)
        attempts.append(found["n"])
        collection("counters").update_one({"_id": "n"}, {"$set": {"n": found["n"] + 1}})

    run_transaction(add_one)

    assert attempts == [0, 10]
    assert count() == 11


@pytest.mark.parametrize("user_ids", [["alice"], []])
def test_concurrent_transactions_lose_no_update(app_context: Flask, user_ids: list[str]) -> None:
    collection("counters").insert_one({"_id": "n", "n": 0})

    def add_one() -> None:
        found = collection("counters").find_one({"_id": "n"})
        assert found is not None
        collection("counters").update_one({"_id": "n"}, {"$set": {"n": found["n"] + 1}})

    def transact() -> None:
        with app_context.app_context():
            run_transaction(add_one, user_ids=user_ids)

    run_concurrently([transact] * 8)

    assert count() == 8


def test_transactions_of_one_user_wait_instead_of_conflicting(
    app_context: Flask,
) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        inside.append(1)
        most.append(len(inside))
        collection("counters").find_one({})
        inside.pop()

    def transact() -> None:
        with app_context.app_context():
            run_transaction(work, user_ids=["alice"])

    run_concurrently([transact] * 6)

    assert most == [1] * 6


def test_waiting_for_another_transaction_of_the_user_has_a_timeout(
    app_context: Flask,
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def dawdle() -> None:
        entered.set()
        leave.wait(10)

    def transact() -> None:
        with app_context.app_context():
            run_transaction(dawdle, user_ids=["alice"])

    slow = threading.Thread(target=transact)
    slow.start()
    entered.wait(10)
    try:
        with pytest.raises(ExecutionTimeout, match="took too long"):
            run_transaction(lambda: None, user_ids=["alice"], timeout_seconds=0.05)
        assert run_transaction(lambda: "free", timeout_seconds=5) == "free"
    finally:
        leave.set()
        slow.join()

    assert run_transaction(lambda: "mine", user_ids=["alice"]) == "mine"


def test_transactions_beyond_the_maximum_wait_and_reads_do_not(app_context: Flask) -> None:
    entered, leave = threading.Semaphore(0), threading.Event()

    def dawdle() -> None:
        entered.release()
        leave.wait(10)

    def transact() -> None:
        with app_context.app_context():
            run_transaction(dawdle)

    with ThreadPoolExecutor(MAX_TRANSACTIONS) as pool:
        for _ in range(MAX_TRANSACTIONS):
            pool.submit(transact)
        try:
            assert all(entered.acquire(timeout=10) for _ in range(MAX_TRANSACTIONS))
            with pytest.raises(ExecutionTimeout, match="ran first"):
                run_transaction(lambda: None, timeout_seconds=0.05)
            assert count() == 0
        finally:
            leave.set()

    assert run_transaction(lambda: "mine") == "mine"


def test_a_permanent_conflict_fails_after_the_timeout() -> None:
    collection("counters").insert_one({"_id": "n", "n": 0})

    def always_late() -> None:
        collection("counters").find_one({"_id": "n"})
        run_in_thread(add_ten)
        collection("counters").update_one({"_id": "n"}, {"$set": {"n": -1}})

    started = time.monotonic()
    with pytest.raises(PyMongoError) as failure:
        run_transaction(always_late, timeout_seconds=0.5)

    assert is_outage(failure.value)
    assert time.monotonic() - started < 5
    assert count() > 0


def bulk_error(*codes: int, concern: int | None = None) -> BulkWriteError:
    failures = [{"index": index, "code": code} for index, code in enumerate(codes)]
    concerns = [{"code": concern}] if concern else []
    return BulkWriteError({"writeErrors": failures, "writeConcernErrors": concerns})


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (ServerSelectionTimeoutError("away"), True),
        (AutoReconnect("closed"), True),
        (NetworkTimeout("slow"), True),
        (OperationFailure("conflict", 112, {"errorLabels": ["TransientTransactionError"]}), True),
        (
            OperationFailure("?", 91, {"errorLabels": ["UnknownTransactionCommitResult"]}),
            True,
        ),
        (OperationFailure("too long", 50), True),
        (OperationFailure("unknown to every list", 123456), True),
        (OperationFailure("over quota", 8000), True),
        (OperationFailure("no code"), True),
        (OperationFailure("busy", 2, {"errorLabels": ["SystemOverloadedError"]}), True),
        (OperationFailure("moved", 2, {"errorLabels": ["RetryableWriteError"]}), True),
        (bulk_error(11000, 112), True),
        (bulk_error(11000, concern=64), True),
        (bulk_error(11000), False),
        (OperationFailure("bad query", 2), False),
        (OperationFailure("refused by its schema", 121), False),
        (WriteError("too large", 17419), False),
        (DuplicateKeyError("taken", 11000), False),
    ],
)
def test_an_outage_is_distinguished_from_other_errors(error: PyMongoError, outage: bool) -> None:
    assert is_outage(error) is outage
