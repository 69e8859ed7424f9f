"""Updates of many documents that differ in one value only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from bson import ObjectId

from app.database import Document
from app.database.batches import batched

T = TypeVar("T")

# SecantusDB: matches the values of an $in one after the other, so twice as many take four times as
# long. MongoDB would take all of them at once.
IN_CLAUSE_SIZE = 50


def in_clause_batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the values, IN_CLAUSE_SIZE at a time."""
    return batched(values, IN_CLAUSE_SIZE)


def value_by_id(values: Mapping[ObjectId, Any]) -> Document:
    """Return an expression for the value of each document's `_id`, for an update by pipeline.

    The filter of the update must match these documents only.
    """
    # Not $getField: MongoDB takes a constant for the name of its field.
    its_place = {"$indexOfArray": [{"$literal": list(values)}, "$_id"]}
    return {"$arrayElemAt": [{"$literal": list(values.values())}, its_place]}
