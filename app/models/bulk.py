"""Many documents at once: their filter, and updates that differ in one value only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from app.database import Document

# SecantusDB: matches the values of an $in one after the other, so twice as many take four times as
# long. MongoDB would take all of them at once.
IN_CLAUSE_SIZE = 50


def by_owner(owners: Mapping[ObjectId, str]) -> Document:
    """Return the filter for documents by `_id`, with the users they belong to.

    The users are in every filter that knows them, so that a shard key would serve.
    """
    # SecantusDB: takes the index of the first field, and `user_id` begins indexes of its own.
    # MongoDB takes the index of the hint that these queries have.
    return {"_id": {"$in": list(owners)}, "user_id": {"$in": sorted({*owners.values()})}}


def value_by_id(values: Mapping[ObjectId, Any]) -> Document:
    """Return an expression for the value of each document's `_id`, for an update by pipeline.

    The filter of the update must match these documents only.
    """
    # Not $getField: in MongoDB its field must be a constant.
    position = {"$indexOfArray": [{"$literal": list(values)}, "$_id"]}
    return {"$arrayElemAt": [{"$literal": list(values.values())}, position]}
