"""Documents that are changed alike, but for one value: one update instead of one for each.

One update of many documents costs the embedded database 0.6 of as many updates of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from bson import ObjectId

from app.database import Document
from app.database.batches import batched

T = TypeVar("T")

# Of so many values at a time documents are chosen: the embedded database compares each document
# with one value of the list after the other, so that twice as many take four times as long.
IN_CLAUSE_SIZE = 50


def in_clause_batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the values, IN_CLAUSE_SIZE at a time."""
    return batched(values, IN_CLAUSE_SIZE)


def value_by_id(values: Mapping[ObjectId, Any]) -> Document:
    """Return the expression that is, in each of the documents, the value under its `_id`.

    For an update as a pipeline, whose filter meets these documents and no others.
    """
    # Not $getField: MongoDB takes a constant for the name of its field.
    its_place = {"$indexOfArray": [{"$literal": list(values)}, "$_id"]}
    return {"$arrayElemAt": [{"$literal": list(values.values())}, its_place]}
