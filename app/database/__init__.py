"""The database: one client, its codec, its indexes, and the transaction helper."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import pymongo
from bson import ObjectId
from flask import Flask
from pymongo import WriteConcern, uri_parser
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)
from pymongo.read_concern import ReadConcern

from app.database.codec import TYPE_REGISTRY
from app.extensions import mongo
from config import DATABASE_NAME

Document = dict[str, Any]

# Options of the client that the URI cannot change: the guarantees depend on them. A read sees
# only what a majority has, so no response names a result that an election can undo.
CONCERNS = {
    "readPreference": "primary",
    "readPreferenceTags": "",
    "maxStalenessSeconds": -1,
    "readConcernLevel": "majority",
    "w": "majority",
    "journal": True,
    "retryWrites": True,
    "retryReads": True,
}
TRANSACTION_ENDINGS = frozenset({"commitTransaction", "abortTransaction"})
NO_SUCH_TRANSACTION = 251
_in_transaction: ContextVar[bool] = ContextVar("in a transaction", default=False)
_may_be_open: ContextVar[bool] = ContextVar("a transaction may be open", default=False)
# Connections of one process, unless the URI names either: hundreds of processes share a cluster,
# and Atlas accepts 1,500 connections on M10. The first two are kept, so that a request rarely waits
# for a handshake.
POOL = {"maxPoolSize": 32, "minPoolSize": 2}
# The timeout of one operation, the search for a primary included: a stopped database causes a 503,
# not a request that hangs.
OPERATION_SECONDS = 5
# MongoDB's default limit for the election of a new primary:
# https://www.mongodb.com/docs/manual/core/replica-set-elections/
ELECTION_SECONDS = 12
# How long closing a client looks for a server to end its sessions. PyMongo ignores this time for
# operations, which have a timeout of their own.
CLOSING_SECONDS = 3
# Longer than any operation on a replaced client.
MOVING_SECONDS = 60


def init_app(app: Flask, uri: str, database_name: str | None = None) -> None:
    """Bind the client to `uri`; its database, unless the URI names one, is paper_trading."""
    parsed = uri_parser.parse_uri(uri, validate=False)
    name = database_name or parsed["database"] or DATABASE_NAME
    close()
    mongo.init_app(
        app,
        uri,
        tz_aware=True,
        type_registry=TYPE_REGISTRY,
        **CONCERNS,
        **({} if POOL.keys() & parsed["options"].keys() else POOL),
        timeoutMS=OPERATION_SECONDS * 1000,
        serverSelectionTimeoutMS=CLOSING_SECONDS * 1000,
        appname="paper-trading",
        event_listeners=[_TransactionListener()],
    )
    assert mongo.cx is not None
    mongo.db = mongo.cx[name]


def move(app: Flask, uri: str) -> None:
    """Bind a new client, because the same database has moved to another address.

    The old client is closed after its running operations, which fail as in any outage.
    """
    old, name = mongo.cx, database().name
    mongo.cx = None
    init_app(app, uri, name)
    if old is not None:
        timer = threading.Timer(MOVING_SECONDS, old.close)
        timer.daemon = True
        timer.start()


def close() -> None:
    """Close the connections to the database."""
    if mongo.cx is not None:
        mongo.cx.close()


def object_id(text: str) -> ObjectId | None:
    """Return `text` as an ObjectId, None if it is not one."""
    return ObjectId(text) if ObjectId.is_valid(text) else None


def database() -> Database[Document]:
    """Return the bound database."""
    assert mongo.db is not None, "create_app() binds the database"
    return mongo.db


def collection(name: str) -> Collection[Document]:
    """Return one collection of the bound database; its operations join an open transaction."""
    if not _in_transaction.get():
        return database()[name]
    # Only a transaction as a whole has concerns: MongoDB refuses those of its operations, and
    # PyMongo removes them for an explicit session only.
    return database().get_collection(name, write_concern=WriteConcern(), read_concern=ReadConcern())


def during_elections() -> AbstractContextManager[object]:
    """Let the operations of the block, together, wait for a new primary."""
    return pymongo.timeout(ELECTION_SECONDS)


@contextmanager
def without_concerns() -> Iterator[None]:
    """Have the operations of a transaction state no concerns of their own."""
    token = _in_transaction.set(True)
    try:
        yield
    finally:
        _in_transaction.reset(token)


def transaction_may_be_open() -> bool:
    """Return whether the last transaction of this context may still hold its locks.

    PyMongo hides whether an abort succeeded.
    """
    return _may_be_open.get()


class _TransactionListener(CommandListener):
    """Listens to the commands of a client. PyMongo calls it in the context of each command."""

    def started(self, event: CommandStartedEvent) -> None:
        if "startTransaction" in event.command:
            _may_be_open.set(True)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if event.command_name in TRANSACTION_ENDINGS:
            _may_be_open.set(False)

    def failed(self, event: CommandFailedEvent) -> None:
        is_over = event.failure.get("code") == NO_SUCH_TRANSACTION
        if event.command_name in TRANSACTION_ENDINGS and is_over:
            _may_be_open.set(False)
