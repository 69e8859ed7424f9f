"""Emptying a database between two tests."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database


def empty_database(database: Database[dict[str, Any]]) -> None:
    """Delete all documents; collections and indexes stay.

    Few collections hold any, so one statement finds these.
    """
    first, *others = database.list_collection_names() or ["none"]
    found = database[first].aggregate(
        [
            *_name_if_filled(first),
            *({"$unionWith": {"coll": name, "pipeline": _name_if_filled(name)}} for name in others),
        ]
    )
    for document in list(found):
        database[document["name"]].delete_many({})


def _name_if_filled(collection: str) -> list[dict[str, Any]]:
    return [{"$limit": 1}, {"$project": {"_id": 0, "name": {"$literal": collection}}}]
