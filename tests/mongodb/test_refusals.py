"""What MongoDB refuses is refused by the proxy, and fails the run."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Callable
from typing import Any

import bson
import pytest
from bson.binary import Binary
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout, OperationFailure
from pymongo.read_concern import ReadConcern

from tests.mongodb import wire
from tests.mongodb.proxy import APP_NAME, StrictProxy
from tests.mongodb.refusals import MAX_DOCUMENT_BYTES, MAX_MESSAGE_BYTES, MAX_OPERATIONS, Tier
from tests.mongodb.wire import Document
from tests.support.concurrency import run_in_thread

Connect = Callable[..., Database[Document]]


def send(proxy: StrictProxy, *commands: Document) -> list[Document]:
    """Send commands as they are, without PyMongo's checks; return the replies."""
    greeting = {
        "hello": 1,
        "$db": "admin",
        "client": {
            "application": {"name": APP_NAME},
            "driver": {"name": "none", "version": "0"},
            "os": {"type": "none"},
        },
    }
    replies = []
    with socket.create_connection(proxy.address) as connection:
        for command in (greeting, *commands):
            connection.sendall(wire.encode(command))
            replies.append(wire.decode(wire.read_message(connection)))
    return replies[1:]


def in_transaction(number: int = 1, **fields: Any) -> Document:
    """Return the fields of a statement in a transaction of its own session."""
    session = {"id": Binary.from_uuid(uuid.uuid4())}
    return {"lsid": session, "txnNumber": bson.Int64(number), "autocommit": False, **fields}


def assert_refused(proxy: StrictProxy, rule: str) -> None:
    assert [problem.partition(":")[0] for problem in proxy.report.problems({})] == [rule]


def test_what_mongodb_allows_passes(proxy: StrictProxy, database: Database[Document]) -> None:
    with database.client.start_session() as session, session.start_transaction():
        database.trades.update_one({"_id": 1}, {"$set": {"n": 1}}, session=session)

    assert database.trades.find_one({"_id": 1}) == {"_id": 1, "user_id": "alice", "n": 1}
    assert not [problem for problem in proxy.report.problems({}) if "broadcast" not in problem]


def test_only_the_application_is_judged(proxy: StrictProxy) -> None:
    with MongoClient[Document](proxy.uri) as client:
        client.strict_tests.trades.find_one({"x": 1})

    assert proxy.report.problems({}) == []


def test_a_command_that_no_transaction_may_run_is_refused(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    with (
        pytest.raises(OperationFailure, match="multi-document transaction") as failure,
        database.client.start_session() as session,
        session.start_transaction(),
    ):
        database.command("listCollections", session=session)

    assert failure.value.code == 263
    assert_refused(proxy, "transaction-command")


def test_a_transaction_that_writes_to_a_system_database_is_refused(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    with (
        pytest.raises(OperationFailure) as failure,
        database.client.start_session() as session,
        session.start_transaction(),
    ):
        database.client.admin.trades.insert_one({}, session=session)

    assert failure.value.code == 263


@pytest.mark.parametrize("concern", ["readConcern", "writeConcern"])
def test_a_concern_in_the_middle_of_a_transaction_is_refused(
    proxy: StrictProxy, database: Database[Document], concern: str
) -> None:
    insert = {"insert": "trades", "$db": database.name, "documents": [{"n": 1}], **in_transaction()}
    value = {"level": "majority"} if concern == "readConcern" else {"w": 1}

    first, second = send(proxy, {**insert, "startTransaction": True}, {**insert, concern: value})

    assert first["ok"]
    assert second["code"] == 72
    assert_refused(proxy, "transaction-concern")


def test_a_collection_created_in_a_snapshot_transaction_is_refused(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    create = {"create": "others", "$db": database.name, **in_transaction()}

    (reply,) = send(
        proxy, {**create, "startTransaction": True, "readConcern": {"level": "snapshot"}}
    )

    assert reply["code"] == 72
    assert_refused(proxy, "transaction-ddl")


def test_an_index_of_an_existing_collection_created_in_a_transaction_is_refused(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    index = {"key": {"n": 1}, "name": "n_1"}
    create = {"createIndexes": "trades", "$db": database.name, "indexes": [index]}

    (reply,) = send(proxy, {**create, **in_transaction(startTransaction=True)})

    assert reply["code"] == 263
    assert_refused(proxy, "transaction-ddl")


def test_a_transaction_older_than_its_lifetime_is_refused_and_aborted(
    make_proxy: Callable[..., StrictProxy], connect: Connect
) -> None:
    proxy = make_proxy(lifetime_seconds=0)
    database = connect(proxy, w="majority", readConcernLevel="majority")

    with database.client.start_session() as session:
        session.start_transaction()
        database.trades.insert_one({"_id": 1}, session=session)
        with pytest.raises(OperationFailure) as failure:
            database.trades.insert_one({"_id": 2}, session=session)

    assert failure.value.code == 251
    assert failure.value.has_error_label("TransientTransactionError")
    assert list(database.trades.find()) == []
    assert proxy.report.count("lifetime") == 1


def test_a_transaction_that_needs_a_lock_behind_a_waiting_change_is_refused(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    update = ({"_id": 1}, {"$set": {"n": 1}})
    namespace = (database.name, "trades")
    changing = threading.Thread(target=database.trades.create_index, args=["n"])
    with database.client.start_session() as first, first.start_transaction():
        database.trades.update_one(*update, session=first)
        changing.start()
        with proxy.state.changed:
            assert proxy.state.changed.wait_for(
                lambda: proxy.state.waiting_change(namespace) is not None, 10
            )
        with (
            pytest.raises(OperationFailure) as failure,
            database.client.start_session() as second,
            second.start_transaction(),
        ):
            database.trades.find_one({"_id": 1}, session=second)
        # The transaction that has the lock continues; the change waits for it.
        database.trades.update_one(*update, session=first)
        assert changing.is_alive()
    changing.join(10)

    assert failure.value.code == 24
    assert failure.value.has_error_label("TransientTransactionError")
    assert "n_1" in database.trades.index_information()
    assert proxy.report.count("lock") == 1


def test_a_change_that_waits_longer_than_its_limit_is_refused(
    proxy: StrictProxy, database: Database[Document], connect: Connect
) -> None:
    patient = connect(proxy, timeoutMS=None)

    def create_index() -> None:
        with pytest.raises(ExecutionTimeout):
            patient.trades.create_index("n", maxTimeMS=50)

    with database.client.start_session() as session, session.start_transaction():
        database.trades.update_one({"_id": 1}, {"$set": {"n": 1}}, session=session)
        run_in_thread(create_index)

    assert proxy.report.count("lock") == 1


def test_an_index_that_exists_waits_for_no_transaction(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    database.trades.create_index("n")
    with database.client.start_session() as session, session.start_transaction():
        database.trades.update_one({"_id": 1}, {"$set": {"n": 1}}, session=session)
        run_in_thread(lambda: database.trades.create_index("n"))

    assert proxy.report.count("lock") == 0


@pytest.mark.parametrize(
    ("size", "code"), [(MAX_DOCUMENT_BYTES, 2), (MAX_DOCUMENT_BYTES + 20_000, 10334)]
)
def test_a_document_above_16_megabytes_is_refused(proxy: StrictProxy, size: int, code: int) -> None:
    document = {"_id": 1, "text": "x" * size}

    (reply,) = send(proxy, {"insert": "trades", "$db": "strict_size", "documents": [document]})

    assert (reply.get("code") or reply["writeErrors"][0]["code"]) == code
    assert proxy.report.count("too-large") == 1


def test_a_message_above_48_megabytes_is_refused(proxy: StrictProxy) -> None:
    documents = [{"text": "x" * (MAX_MESSAGE_BYTES // 4)}] * 4

    (reply,) = send(proxy, {"insert": "trades", "$db": "strict_size", "documents": documents})

    assert reply["code"] == 17
    assert proxy.report.count("too-large") == 1


def test_a_write_of_too_many_documents_is_refused(proxy: StrictProxy) -> None:
    documents: list[Document] = [{}] * (MAX_OPERATIONS + 1)

    (reply,) = send(proxy, {"insert": "trades", "$db": "strict_size", "documents": documents})

    assert reply["code"] == 16
    assert proxy.report.count("too-large") == 1


@pytest.mark.parametrize("hint", ["user_id_1", [("user_id", 1)]])
def test_a_hint_to_a_missing_index_is_refused(
    proxy: StrictProxy, database: Database[Document], hint: Any
) -> None:
    with pytest.raises(OperationFailure) as failure:
        database.trades.find_one({"user_id": "alice"}, hint=hint)
    assert failure.value.code == 2
    assert proxy.report.count("hint") == 1

    database.trades.create_index("user_id")
    assert database.trades.find_one({"user_id": "alice"}, hint=hint) is not None


def test_a_transaction_on_a_standalone_server_is_refused(
    make_proxy: Callable[..., StrictProxy], connect: Connect
) -> None:
    proxy = make_proxy(tier=Tier.STANDALONE)
    database = connect(proxy, retryWrites=False, w="majority")
    database.trades.insert_one({"_id": 1, "user_id": "alice"})

    def write(session: ClientSession) -> None:
        database.trades.insert_one({"_id": 2, "user_id": "alice"}, session=session)

    with (
        database.client.start_session() as session,
        pytest.raises(OperationFailure) as failure,
    ):
        session.with_transaction(write)

    assert failure.value.code == 20
    assert proxy.report.count("standalone") > 0


def test_a_command_that_free_atlas_lacks_is_refused(
    make_proxy: Callable[..., StrictProxy], connect: Connect
) -> None:
    proxy = make_proxy(tier=Tier.ATLAS_FREE)

    with pytest.raises(OperationFailure) as failure:
        connect(proxy).client.admin.command(
            "killSessions", [{"id": Binary.from_uuid(uuid.uuid4())}]
        )

    assert failure.value.code == 8000
    assert_refused(proxy, "atlas-free")


def test_a_snapshot_read_in_a_transaction_passes(
    proxy: StrictProxy, database: Database[Document]
) -> None:
    with (
        database.client.start_session() as session,
        session.start_transaction(read_concern=ReadConcern("snapshot")),
    ):
        assert database.trades.find_one({"_id": 1}, session=session) is not None

    assert proxy.report.count("transaction-concern") == 0
