"""The database: one client, its codec, its indexes, and the transaction helper."""

from __future__ import annotations

import threading
from typing import Any

from bson import ObjectId
from flask import Flask
from pymongo import uri_parser
from pymongo.collection import Collection
from pymongo.database import Database

from app.database.codec import TYPE_REGISTRY
from app.database.open_transactions import TransactionListener
from app.extensions import mongo
from config import DATABASE_NAME

Document = dict[str, Any]

# The timeout of one operation: a stopped database causes a 503, not a request that hangs.
OPERATION_SECONDS = 5
SERVER_SELECTION_SECONDS = 3
# Longer than any operation on a replaced client.
MOVING_SECONDS = 60


def init_app(app: Flask, uri: str, database_name: str | None = None) -> None:
    """Bind the client to `uri`; its database, unless the URI names one, is paper_trading."""
    name = database_name or uri_parser.parse_uri(uri, validate=False)["database"] or DATABASE_NAME
    if mongo.cx is not None:
        mongo.cx.close()
    mongo.init_app(
        app,
        uri,
        tz_aware=True,
        type_registry=TYPE_REGISTRY,
        retryWrites=True,
        timeoutMS=OPERATION_SECONDS * 1000,
        serverSelectionTimeoutMS=SERVER_SELECTION_SECONDS * 1000,
        appname="paper-trading",
        event_listeners=[TransactionListener()],
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


def object_id(text: str) -> ObjectId | None:
    """Return the id that `text` is, None if it is none."""
    return ObjectId(text) if ObjectId.is_valid(text) else None


def database() -> Database[Document]:
    """Return the bound database."""
    assert mongo.db is not None, "create_app() binds the database"
    return mongo.db


def collection(name: str) -> Collection[Document]:
    """Return one collection of the bound database."""
    return database()[name]
