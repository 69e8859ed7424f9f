"""Hints: the index that a query reads, where MongoDB's planner could choose another.

Several indexes of a collection begin with the same field. MongoDB runs a new query shape on each of
them for a moment, and keeps what was faster then: on little data that may be one that reads a
user's whole history, or all that waits for a symbol.
https://www.mongodb.com/docs/manual/core/query-plans/
"""

from __future__ import annotations

from typing import Any

from pymongo import ASCENDING

from app.extensions import mongo


def use_index(*fields: str) -> dict[str, Any]:
    """Return the keyword with which a find, count, update or delete reads this index.

    MongoDB refuses it if the index does not exist. An `_id` that must equal one value needs none:
    the planner considers no other index then.
    """
    # SecantusDB: reads the whole collection for a find with a hint, and chooses by the order of the
    # fields in the filter. MongoDB would always take the hint.
    return {} if mongo.is_secantus else {"hint": [(field, ASCENDING) for field in fields]}
