"""The embedded database: writes that wait for the transaction of another client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from embedded_db.supervisor import EmbeddedDatabase
from tests.support.live import eventually

SECONDS = 5
Client = MongoClient[dict[str, Any]]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[[str], Client]]:
    """Connect to a database with ten documents, by clients of different names."""
    database = EmbeddedDatabase(tmp_path / "data")
    database.start()
    with ExitStack() as clients:

        def connect(name: str) -> Client:
            client = Client(
                database.uri,
                appname=name,
                timeoutMS=SECONDS * 1_000,
                # Of close(), which looks for the database that has ended.
                serverSelectionTimeoutMS=200,
            )
            return clients.enter_context(client)

        connect("setup").kept.numbers.insert_many([{"_id": each, "n": 0} for each in range(10)])
        try:
            yield connect
        finally:
            # Before its clients are closed: they would wait for one that is stuck.
            database.stop()


def received_update(client: Client, name: str) -> bool:
    """Return whether the last command that the database got from another client is an update."""
    return any(
        each["op"] == "update" and each["clientMetadata"]["application"]["name"] == name
        for each in client.admin.command("currentOp")["inprog"]
        if "clientMetadata" in each
    )


def test_writes_go_on_while_an_update_of_many_waits_for_a_transaction(
    connect: Callable[[str], Client],
) -> None:
    observer, plain, other = connect("observer"), connect("plain"), connect("other")
    numbers = observer.kept.numbers

    def update_many() -> int:
        first = {"_id": {"$lt": 5}}
        return plain.kept.numbers.update_many(first, {"$inc": {"n": 1}}).modified_count

    def update_another() -> None:
        with other.start_session() as session, session.start_transaction():
            other.kept.numbers.update_one({"_id": 9}, {"$inc": {"n": 1}}, session=session)

    with ThreadPoolExecutor(2) as pool:
        waiting: list[Future[Any]] = []
        with observer.start_session() as session, session.start_transaction():
            numbers.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
            # The update keeps the collection while it waits for this transaction, and the other
            # transaction waits for the collection.
            for name, write in (("plain", update_many), ("other", update_another)):
                waiting.append(pool.submit(write))
                eventually(partial(received_update, observer, name))
        results = [each.result(SECONDS) for each in waiting]

    assert results == [5, None]
    assert [each["n"] for each in numbers.find().sort("_id", 1)] == [1, 2, 1, 1, 1, 0, 0, 0, 0, 1]
