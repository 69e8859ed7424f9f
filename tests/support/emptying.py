"""Emptying a database between two tests."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pymongo import DeleteMany
from pymongo.database import Database


def empty_database(database: Database[dict[str, Any]], keep: Collection[str] = ()) -> None:
    """Delete all documents but those of the collections `keep`; collections and indexes stay.

    One command deletes them all, because most of the time is that of sending and answering one.
    It needs MongoDB 8.0.
    """
    names = [name for name in database.list_collection_names() if name not in keep]
    if names:
        deletions = [DeleteMany({}, namespace=f"{database.name}.{name}") for name in names]
        database.client.bulk_write(deletions, ordered=False)
