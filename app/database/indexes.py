"""The indexes. Making one that exists already costs nothing, so every start makes them all."""

from __future__ import annotations

from pymongo import ASCENDING, IndexModel

from app.database import collection


def _index(*fields: str, unique: bool = False, sparse: bool = False) -> IndexModel:
    return IndexModel([(field, ASCENDING) for field in fields], unique=unique, sparse=sparse)


INDEXES = {
    "users": [_index("client_id", unique=True), _index("email", unique=True)],
    "portfolios": [_index("user_id", unique=True)],
    "trades": [
        # The trigger book: `status` and `symbol` inside the key, one bound each.
        _index("status", "symbol", "trigger_below"),
        _index("status", "symbol", "trigger_above"),
        # A user's trades by their own running number, all of them and by status.
        _index("user_id", "number", unique=True),
        _index("user_id", "status", "number"),
    ],
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
