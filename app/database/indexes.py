"""The indexes. Making one that exists already costs nothing, so every start makes them all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pymongo import ASCENDING, IndexModel

from app.database import collection

# For how long the answer to a request with an Idempotency-Key is remembered.
ANSWERS_KEPT = timedelta(days=7)


def _index(*fields: str, **options: Any) -> IndexModel:
    return IndexModel([(field, ASCENDING) for field in fields], **options)


INDEXES = {
    "users": [_index("client_id", unique=True), _index("email", unique=True)],
    "trades": [
        # The trigger book: `status` and `symbol` inside the key, one bound each.
        _index("status", "symbol", "trigger_below"),
        _index("status", "symbol", "trigger_above"),
        # A user's trades by their own running number, all of them and by status.
        _index("user_id", "number", unique=True),
        _index("user_id", "status", "number"),
        # Unique among those that have one.
        _index(
            "user_id",
            "client_order_id",
            unique=True,
            partialFilterExpression={"client_order_id": {"$exists": True}},
        ),
    ],
    "alerts": [
        # As the trigger book of trades: a find a side meets what is crossed and nothing else.
        _index("status", "symbol", "above"),
        _index("status", "symbol", "below"),
        _index("user_id", "number", unique=True),
        _index("user_id", "status", "number"),
    ],
    "answers": [
        _index("created_at", expireAfterSeconds=int(ANSWERS_KEPT.total_seconds())),
    ],
    # When each has no further use.
    "codes": [_index("purge_at", expireAfterSeconds=0)],
    "quotas": [_index("purge_at", expireAfterSeconds=0)],
    "notifications": [
        _index("user_id", "seq", unique=True),
        _index("user_id", "is_read", "seq"),
        # Only what is still to be delivered has the field, so the index stays small.
        _index("deliver_at", sparse=True),
    ],
}


def create_indexes() -> None:
    """Make every index of every collection."""
    for name, models in INDEXES.items():
        collection(name).create_indexes(models)
