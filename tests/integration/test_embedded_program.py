"""The embedded database: what `database_program.py` corrects in SecantusDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import bson
import pytest
from pymongo import MongoClient

from embedded_db.supervisor import EmbeddedDatabase
from tests.support.faults import FaultyDatabase
from tests.support.live import eventually

SECONDS = 5
Client = MongoClient[dict[str, Any]]


@pytest.fixture
def database(tmp_path: Path, request: pytest.FixtureRequest) -> EmbeddedDatabase | FaultyDatabase:
    """The database of a server, or that of tests whose commands fail."""
    if getattr(request, "param", "embedded") == "faulty":
        return FaultyDatabase(tmp_path)
    embedded = EmbeddedDatabase(tmp_path / "data")
    embedded.start()
    return embedded


@pytest.fixture
def connect(database: EmbeddedDatabase | FaultyDatabase) -> Iterator[Callable[[str], Client]]:
    """Connect to a database with ten documents, by clients of different names."""
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


@pytest.mark.parametrize("database", ["embedded", "faulty"], indirect=True)
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


def shortest(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some tries: what else the machine does only adds."""
    seconds = []
    for _ in range(20):
        began = perf_counter()
        work()
        seconds.append(perf_counter() - began)
    return min(seconds)


def test_find_and_modify_returns_the_document_that_it_changed(
    connect: Callable[[str], Client],
) -> None:
    numbers = connect("plain").kept.numbers

    assert numbers.find_one_and_update({"_id": 3, "n": 0}, {"$inc": {"n": 1}}) == {"_id": 3, "n": 0}
    assert numbers.find_one_and_update({"_id": 3, "n": 0}, {"$inc": {"n": 1}}) is None
    assert numbers.find_one_and_delete({"_id": 3, "n": 1}) == {"_id": 3, "n": 1}
    assert numbers.count_documents({"n": 0}) == 9


def test_find_and_modify_does_not_take_longer_among_many_documents(
    connect: Callable[[str], Client],
) -> None:
    kept = connect("plain").kept
    kept.many.insert_many([{"_id": each, "n": 0} for each in range(5_000)])

    few, many = (
        shortest(partial(documents.find_one_and_update, {"_id": 5}, {"$inc": {"n": 1}}))
        for documents in (kept.numbers, kept.many)
    )

    assert many < 10 * few, "5,000 documents were read"


def test_a_document_whose_id_is_a_document_is_found_by_it(
    connect: Callable[[str], Client],
) -> None:
    kept = connect("plain").kept
    for name, size in (("few", 10), ("many", 5_000)):
        kept[name].insert_many([{"_id": {"user": "a", "key": each}} for each in range(size)])
    keys = count()

    def find(name: str) -> None:
        id = {"user": "a", "key": next(keys) % 10}
        assert kept[name].find_one({"_id": id}) == {"_id": id}
        # The order of the fields belongs to the value.
        assert kept[name].find_one({"_id": {"key": id["key"], "user": "a"}}) is None

    few, many = (shortest(partial(find, name)) for name in ("few", "many"))

    assert many < 10 * few, "5,000 documents were read"


def test_a_read_does_not_take_longer_while_a_transaction_has_read_a_page_that_grows(
    connect: Callable[[str], Client],
) -> None:
    client = connect("plain")
    numbers = client.kept.numbers
    # On the same page as the others. Each version of it stays in memory for a while.
    numbers.insert_one({"_id": "large", "text": "x" * 60_000})
    alone = shortest(partial(numbers.find_one, {"_id": 3}))

    with client.start_session() as session, session.start_transaction():
        numbers.find_one({"_id": 3}, session=session)
        for number in range(200):
            numbers.update_one({"_id": "large"}, {"$set": {"n": number}})
        beside = shortest(partial(numbers.find_one, {"_id": 3}))

    assert beside < 10 * alone, "each read tries to evict the page"


def test_a_new_folder_takes_less_room_than_its_documents(tmp_path: Path) -> None:
    embedded = EmbeddedDatabase(tmp_path / "data")
    embedded.start()
    documents = [
        {"_id": each, "name": f"name {each}", "text": "word " * 50} for each in range(5_000)
    ]
    try:
        with Client(embedded.uri) as client:
            client.kept.texts.create_index("name", unique=True)
            client.kept.texts.insert_many(documents)
            assert client.kept.texts.count_documents({"name": "name 4999"}) == 1
    finally:
        embedded.stop()

    stored = sum(file.stat().st_size for file in (tmp_path / "data" / "database").glob("*.wt"))
    assert stored < sum(len(bson.encode(each)) for each in documents) / 2
