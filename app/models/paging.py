"""Newest first, a page at a time, at the same cost however long the history."""

from __future__ import annotations

from typing import Any

from app.database import Document, collection

# Windows grow while a filter leaves pages unfilled, up to this many numbers a query.
MAX_WINDOW = 4_096


def newest_first(
    name: str, query: Document, number: str, *, below: int, limit: int
) -> list[dict[str, Any]]:
    """Return up to `limit` documents matching `query` with `number` under `below`, descending.

    Fields of the query that are None are ignored. `number` runs per user, with few gaps except
    where old documents were deleted, so a page is a range of it.
    """
    # SecantusDB: reads every match before it sorts and limits. MongoDB would take a sort by
    # `number` with a limit.
    asked = {field: value for field, value in query.items() if value is not None}
    found: list[Document] = []
    window = limit
    while below > 1 and len(found) < limit:
        floor = max(below - window, 1)
        documents = collection(name).find({**asked, number: {"$gte": floor, "$lt": below}})
        found += sorted(documents, key=lambda each: -int(each[number]))
        below = floor
        window = min(window * 4, MAX_WINDOW)
    return found[:limit]
