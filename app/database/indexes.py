"""The indexes. Creating an existing one costs nothing, so every start creates them all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pymongo import ASCENDING, IndexModel

from app.database import collection

# How long the response to a request with an Idempotency-Key is kept.
ANSWERS_KEPT = timedelta(days=7)


def _index(*fields: str, **options: Any) -> IndexModel:
    return IndexModel([(field, ASCENDING) for field in fields], **options)


INDEXES = {
    "users": [_index("client_id", unique=True), _index("email", unique=True)],
    "portfolios": [_index("user_id", "name", unique=True)],
    "trades": [
        # What a price triggers: a range of each (app/models/trigger_index.py).
        # SecantusDB: scans for a partial index whose filter is not in the key. MongoDB would take a
        # partial index of what waits.
        _index("waiting", "symbol", "trigger_below"),
        _index("waiting", "symbol", "trigger_above"),
        # A user's trades by their number, of all statuses and of one.
        _index("user_id", "number", unique=True),
        _index("user_id", "status", "number"),
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
        _index("created_at", expireAfterSeconds=int(ANSWERS_KEPT.total_seconds())),
    ],
    # When a document has no further use.
    "codes": [_index("purge_at", expireAfterSeconds=0)],
    "quotas": [_index("purge_at", expireAfterSeconds=0)],
    "notifications": [
        _index("user_id", "seq", unique=True),
        _index("user_id", "is_read", "seq"),
        # Only notifications still to be delivered have the field: the index stays small.
        _index("deliver_at", sparse=True),
    ],
}


def create_indexes() -> None:
    """Create every index of every collection."""
    for name, models in INDEXES.items():
        collection(name).create_indexes(models)
