"""Fixtures: a replica set, proxies before it, and clients that look like the application."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.mongodb.proxy import APP_NAME, StrictProxy
from tests.mongodb.wire import Document
from tests.support.faults import FaultyDatabase

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyDatabase]:
    database = FaultyDatabase(tmp_path_factory.mktemp("replica_set"))
    yield database
    database.stop()


@pytest.fixture
def make_proxy(replica_set: FaultyDatabase) -> Iterator[Callable[..., StrictProxy]]:
    """Make proxies; close them afterwards."""
    with ExitStack() as proxies:

        def make(**options: Any) -> StrictProxy:
            proxy = StrictProxy(replica_set.port, **options)
            proxies.callback(proxy.close)
            return proxy

        yield make


@pytest.fixture
def proxy(make_proxy: Callable[..., StrictProxy]) -> StrictProxy:
    return make_proxy()


@pytest.fixture
def connect() -> Iterator[Callable[..., Database[Document]]]:
    """Connect to an empty database through a proxy, as the application does."""
    with ExitStack() as clients:
        name = f"strict_{next(_numbers)}"

        def connect(proxy: StrictProxy, **options: Any) -> Database[Document]:
            chosen = {"appname": APP_NAME, "timeoutMS": 20_000, **options}
            client: MongoClient[Document] = MongoClient(proxy.uri, **chosen)
            return clients.enter_context(client)[name]

        yield connect


@pytest.fixture
def database(proxy: StrictProxy, connect: Callable[..., Database[Document]]) -> Database[Document]:
    """A database with a collection and a document in it."""
    database = connect(proxy, w="majority", readConcernLevel="majority")
    database.trades.insert_one({"_id": 1, "user_id": "alice"})
    return database
