"""What weakens a guarantee on MongoDB is counted; a shape that is not agreed fails the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pymongo import InsertOne, ReadPreference
from pymongo.database import Database

from tests.mongodb.__main__ import suite_paths
from tests.mongodb.proxy import StrictProxy
from tests.mongodb.report import COUNTED, Finding, Report, load_agreed
from tests.mongodb.wire import Document

Connect = Callable[..., Database[Document]]


def test_a_read_off_the_primary_is_counted(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    database.trades.with_options(read_preference=ReadPreference.PRIMARY_PREFERRED).find_one({})

    assert proxy.report.shapes()["read-preference"] == ["find trades: primaryPreferred"]


def test_a_write_that_no_majority_confirms_is_counted(proxy: StrictProxy, connect: Connect) -> None:
    connect(proxy).trades.insert_one({"user_id": "alice"})
    connect(proxy, w=1).trades.delete_one({"user_id": "alice"})

    assert proxy.report.shapes()["write-concern"] == ["delete trades", "insert trades"]


def test_a_read_that_may_be_rolled_back_is_counted(proxy: StrictProxy, connect: Connect) -> None:
    connect(proxy).trades.find_one({"user_id": "alice"})
    connect(proxy, readConcernLevel="majority").alerts.find_one({"user_id": "alice"})

    assert proxy.report.shapes()["read-concern"] == ["find trades"]


def test_an_index_build_with_a_time_limit_is_counted(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    database.alerts.create_index("a")

    assert proxy.report.shapes()["index-time-limit"] == ["createIndexes alerts"]


def test_a_transaction_of_more_than_1000_documents_is_counted(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    def write(count: int) -> None:
        with database.client.start_session() as session, session.start_transaction():
            documents = [InsertOne[Document]({"user_id": "alice"}) for _ in range(count)]
            database.trades.bulk_write(documents[:600], session=session)
            database.trades.bulk_write(documents[600:], session=session)

    write(1000)
    assert proxy.report.count("transaction-size") == 0
    write(1001)
    assert proxy.report.shapes()["transaction-size"] == ["trades"]


def test_documents_that_a_filter_names_count_as_written(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    with database.client.start_session() as session, session.start_transaction():
        ids = list(range(1001))
        database.trades.update_many({"_id": {"$in": ids}}, {"$set": {"n": 1}}, session=session)

    assert proxy.report.count("transaction-size") == 1


def test_a_collection_that_a_transaction_creates_is_counted_once(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    for _ in range(2):
        with database.client.start_session() as session, session.start_transaction():
            database.inboxes.update_one(
                {"_id": "alice"}, {"$set": {"n": 1}}, upsert=True, session=session
            )

    assert proxy.report.counts["implicit-creation"] == {"update inboxes": 1}


def test_a_filter_that_no_index_serves_is_counted(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    database.users.create_index([("email", 1), ("name", 1)])
    database.users.find_one({"email": "a"})
    database.users.find_one({"name": "a"})

    assert proxy.report.shapes()["collection-scan"] == ["find users by name"]


def test_a_filter_that_two_indexes_serve_is_counted_unless_it_names_one(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    database.trades.create_index([("user_id", 1), ("number", 1)])
    database.trades.create_index([("user_id", 1), ("status", 1)])
    for hint in ("user_id_1_status_1", None):
        database.trades.find_one({"user_id": "alice", "status": "ACTIVE"}, hint=hint)
        database.trades.update_one({"user_id": "bob"}, {"$set": {"n": 1}}, hint=hint)
        database.trades.delete_many({"user_id": "bob"}, hint=hint)
    database.trades.count_documents({"user_id": "bob"}, hint="user_id_1_number_1")
    database.trades.count_documents({"user_id": "bob"})

    assert proxy.report.counts["index-choice"] == {
        "aggregate trades by user_id": 1,
        "delete trades by user_id": 1,
        "find trades by status, user_id": 1,
        "update trades by user_id": 1,
    }


def test_one_id_leaves_no_choice_and_several_do(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    database.trades.create_index([("user_id", 1)])
    database.trades.find_one({"_id": 1, "user_id": "alice"})
    assert proxy.report.count("index-choice") == 0

    database.trades.find_one({"_id": {"$in": [1, 2]}, "user_id": "alice"})
    database.trades.find_one({"_id": 1, "user_id": "alice"}, {"user_id": 1})
    assert proxy.report.count("index-choice") == 2


def test_a_partial_index_is_no_choice_for_a_filter_without_its_condition(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    database.trades.create_index([("user_id", 1)])
    condition = {"client_order_id": {"$exists": True}}
    fields = [("user_id", 1), ("client_order_id", 1)]
    database.trades.create_index(fields, partialFilterExpression=condition)
    database.trades.find_one({"user_id": "alice"})
    assert proxy.report.count("index-choice") == 0

    database.trades.find_one({"user_id": "alice", "client_order_id": "x"})
    assert proxy.report.count("index-choice") == 1


def test_a_filter_without_the_user_is_counted_as_a_broadcast(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    database.trades.find_one({"_id": 1})
    database.trades.find_one({"_id": 1, "user_id": "alice"})
    database.trades.update_one({"_id": 2}, {"$set": {"n": 1}}, upsert=True)

    assert proxy.report.shapes()["broadcast"] == ["find trades by _id", "update trades by _id"]
    assert proxy.report.shapes()["upsert-without-shard-key"] == ["update trades by _id"]


@pytest.mark.parametrize(("other", "count"), [("alice", 0), ("bob", 1)])
def test_a_transaction_of_two_users_is_counted_as_one_across_shards(
    proxy: StrictProxy, database: Database[Document], other: str, count: int
) -> None:
    with database.client.start_session() as session, session.start_transaction():
        database.trades.insert_one({"user_id": "alice"}, session=session)
        database.inboxes.update_one({"_id": other}, {"$set": {"n": 1}}, session=session)

    assert proxy.report.count("transaction-across-shards") == count


def test_an_agreed_shape_is_no_problem_and_any_other_is_one() -> None:
    report = Report()
    for shape in ("find trades", "find users"):
        report.add(Finding("read-concern", shape))
    report.add(Finding("hint", "find trades", {"ok": 0.0}))

    agreed = {"read-concern": ["find trades"], "hint": ["find trades"]}
    problems = report.problems(agreed)

    assert [problem.partition(",")[0] for problem in problems] == [
        "hint: find trades",
        "read-concern: find users",
    ]


def test_every_suite_that_runs_through_the_proxy_exists() -> None:
    assert [path for path in suite_paths() if not Path(path).exists()] == []


def test_only_counted_rules_have_agreed_shapes() -> None:
    assert set(load_agreed()) <= set(COUNTED)
