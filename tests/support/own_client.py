"""Documents of the application's database, read and written by a client of the tests.

The strict proxy of tests/mongodb judges the application's own client only. So what a test prepares
and checks hides nothing that the application does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo import MongoClient
from pymongo.collection import Collection

from app.database import Document, database
from app.database.codec import TYPE_REGISTRY

# By the address of their server: one a session.
_clients: dict[tuple[str, int], MongoClient[Document]] = {}


@contextmanager
def own_client(uri: str) -> Iterator[MongoClient[Document]]:
    """Make the client for a server, and close it after the block."""
    with MongoClient[Document](
        uri,
        tz_aware=True,
        type_registry=TYPE_REGISTRY,
        timeoutMS=60_000,
        w="majority",
        readConcernLevel="majority",
    ) as client:
        client.admin.command("ping")
        assert client.address is not None
        _clients[client.address] = client
        yield client
        del _clients[client.address]


def collection(name: str) -> Collection[Document]:
    """Return a collection of the application's database; its operations join no transaction.

    On a server that a single test starts, it uses the application's client.
    """
    address = database().client.address
    client = _clients.get(address) if address else None
    return (client or database().client)[database().name][name]
