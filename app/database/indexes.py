"""The collections and their indexes, created by the first start that misses one.

Building an index of a large collection takes long, so one process does it, without a timeout, and
others wait. Collections are created before anything is written to them: a transaction over several
shards cannot create one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pymongo
from pymongo import ASCENDING, IndexModel
from pymongo.errors import OperationFailure

from app.database import Document, collection, database
from app.database.build_lock import BuildLock
from app.logs import logger
from config import ConfigurationError

# How long the response to a request with an Idempotency-Key is kept.
RESPONSES_KEPT = timedelta(days=7)
WAIT_SECONDS = 0.2
NAMESPACE_EXISTS = 48
TTL = "expireAfterSeconds"
# Options of an index that MongoDB cannot change: it has to be built again.
FIXED_OPTIONS = ("unique", "sparse", "partialFilterExpression")


def _index(*fields: str, **options: Any) -> IndexModel:
    return IndexModel([(field, ASCENDING) for field in fields], **options)


INDEXES: dict[str, list[IndexModel]] = {
    "users": [_index("client_id", unique=True), _index("email", unique=True)],
    "portfolios": [_index("user_id", "name", unique=True)],
    "movements": [_index("user_id", "portfolio_id", "created_at")],
    "trades": [
        # What a price triggers: a range of each (app/models/trigger_index.py).
        # SecantusDB: scans for a partial index whose filter is not in the key. MongoDB would take a
        # partial index of what waits.
        _index("waiting", "symbol", "trigger_below"),
        _index("waiting", "symbol", "trigger_above"),
        # Entries that end unfilled. Only pending trades have the field: the index stays small.
        _index("pending_until", sparse=True),
        # Trailing stops, by their distance from the best price (app/models/trail.py).
        _index("waiting", "symbol", "trail_unit", "trail"),
        # A portfolio's trades by their number, of all statuses and of one.
        _index("user_id", "portfolio_id", "number", unique=True),
        _index("user_id", "portfolio_id", "status", "number"),
        # By the time of each exit: the last one, and those of parts.
        _index("user_id", "portfolio_id", "closed_at"),
        _index("user_id", "portfolio_id", "partial_exits.time"),
        # Unique among the trades that have one.
        _index(
            "user_id",
            "client_order_id",
            unique=True,
            partialFilterExpression={"client_order_id": {"$exists": True}},
        ),
    ],
    "alerts": [
        _index("waiting", "symbol", "above"),
        _index("waiting", "symbol", "below"),
        _index("user_id", "number", unique=True),
        _index("user_id", "status", "number"),
    ],
    "answers": [
        _index("created_at", expireAfterSeconds=int(RESPONSES_KEPT.total_seconds())),
    ],
    "api_keys": [
        _index("key_hash", unique=True),
        _index("user_id"),
        _index("purge_at", expireAfterSeconds=0),
    ],
    "bounds": [_index("share")],
    "corporate_actions": [_index("symbol")],
    # When a document has no further use.
    "codes": [_index("purge_at", expireAfterSeconds=0)],
    "quotas": [_index("purge_at", expireAfterSeconds=0)],
    "sessions": [
        _index("user_id"),
        # Only sessions that have ended have the field: the index stays small.
        _index("ended_at", sparse=True),
        _index("purge_at", expireAfterSeconds=0),
    ],
    "notifications": [
        _index("user_id", "seq", unique=True),
        _index("user_id", "is_read", "seq"),
        # Only notifications still to be delivered have the field: the index stays small.
        _index("deliver_at", sparse=True),
    ],
    # Only symbols that have had a trailing stop have a document: there are few.
    "trails": [_index("marked_at")],
    "webhooks": [_index("user_id"), _index("due_at")],
    "webhook_deliveries": [
        _index("user_id", "webhook_id", "number", unique=True),
        _index("purge_at", expireAfterSeconds=0),
    ],
    # Found by `_id`, or small.
    **{
        name: []
        for name in (
            *("erasures", "followers", "identities", "inboxes", "instruments", "late_writes"),
            *(
                "leases",
                "market",
                "pulse",
                "schema",
                "second_factors",
                "symbols",
                "watchlists",
                "webhook_wakes",
            ),
        )
    },
}


def find_missing() -> list[str]:
    """Return which collections and indexes are missing, and which indexes have other options."""
    existing = set(database().list_collection_names())
    missing = []
    for name, models in INDEXES.items():
        if name not in existing:
            missing.append(name)
            continue
        stored = collection(name).index_information() if models else {}
        missing += [
            f"{name}.{'_'.join(model.document['key'])}"
            for model in models
            if not _is_stored(model.document, stored)
        ]
    return missing


def create_indexes() -> None:
    """Create what is missing, for as long as it takes; wait while another process does so.

    Raises ConfigurationError for an index with options that cannot be changed.
    """
    lock = BuildLock()
    is_waiting = False
    # While the lock exists, an index may be listed that is unfinished.
    while lock.exists() or find_missing():
        if lock.take():
            # Zero is no timeout: the client's own would abort a long build each time.
            with lock.kept(), pymongo.timeout(0):
                _create_missing(lock)
            return
        if not is_waiting:
            logger.warning("another process builds indexes; this one continues after that")
            is_waiting = True
        time.sleep(WAIT_SECONDS)


def _create_missing(lock: BuildLock) -> None:
    existing = set(database().list_collection_names())
    for name, models in INDEXES.items():
        if not models:
            if name not in existing:
                create_collection(name)
            continue
        stored = collection(name).index_information() if name in existing else {}
        for document in (model.document for model in models):
            if document["name"] in stored and not _is_stored(document, stored):
                _require_fixed_options(name, document, stored)
                _change_ttl(name, document)
        missing = [model for model in models if model.document["name"] not in stored]
        if missing and name in existing:
            lock.work = f"{len(missing)} of the indexes of {name}"
            count = collection(name).estimated_document_count()
            logger.warning("building %s, with %d documents", lock.work, count)
        # All of them: this waits for one that a killed process left unfinished.
        collection(name).create_indexes(models)


def _is_stored(document: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    index = stored.get(document["name"])
    if index is None or not _has_fixed_options(document, index):
        return False
    return TTL not in document or bool(index.get(TTL) == document[TTL])


def _has_fixed_options(document: Mapping[str, Any], index: Mapping[str, Any]) -> bool:
    # One without an option lists it as absent or false.
    return all((index.get(name) or None) == document.get(name) for name in FIXED_OPTIONS)


def _require_fixed_options(
    name: str, document: Mapping[str, Any], stored: Mapping[str, Any]
) -> None:
    """Raise ConfigurationError, with the remedy, for an index that must be built again."""
    index = document["name"]
    if not _has_fixed_options(document, stored[index]):
        raise ConfigurationError(
            [
                f"MONGO_URI: the index {index} of {name} has other options than this version "
                f'needs. Drop it with db.{name}.dropIndex("{index}") and start again.'
            ]
        )


def _change_ttl(name: str, document: Document) -> None:
    index = {"name": document["name"], TTL: document[TTL]}
    logger.warning("changing the TTL of %s.%s to %d s", name, index["name"], index[TTL])
    database().command("collMod", name, index=index)


def create_collection(name: str) -> None:
    """Create a collection, unless it exists."""
    try:
        database().create_collection(name, check_exists=False)
    except OperationFailure as error:
        # A write of another process created it first.
        if error.code != NAMESPACE_EXISTS:
            raise
