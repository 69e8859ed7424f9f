"""Updates of many documents that differ in one value only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from app.database import Document

# SecantusDB: matches the values of an $in one after the other, so twice as many take four times as
# long. MongoDB would take all of them at once.
IN_CLAUSE_SIZE = 50


def value_by_id(values: Mapping[ObjectId, Any]) -> Document:
    """Return an expression for the value of each document's `_id`, for an update by pipeline.

    The filter of the update must match these documents only.
    """
    # Not $getField: in MongoDB its field must be a constant.
    position = {"$indexOfArray": [{"$literal": list(values)}, "$_id"]}
    return {"$arrayElemAt": [{"$literal": list(values.values())}, position]}
