"""Reading many documents: a page of a long history, or a crowd a mouthful at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from app.database import Document, collection

# Windows grow while a filter leaves pages unfilled, up to this many numbers a query.
LARGEST_WINDOW = 4_096
# To decode so many documents holds up everything else in the process for some 10 ms.
MOUTHFUL = 250


def newest_first(
    name: str, query: Document, number: str, *, below: int, limit: int
) -> list[dict[str, Any]]:
    """Return up to `limit` documents matching `query` with `number` under `below`, descending.

    `number` runs without gaps per user, so a page is a range of it. Ranges, because the
    embedded database reads every match of a query before it sorts and cuts (docs/decisions.md).
    """
    found: list[Document] = []
    window = limit
    while below > 1 and len(found) < limit:
        floor = max(below - window, 1)
        documents = collection(name).find({**query, number: {"$gte": floor, "$lt": below}})
        found += sorted(documents, key=lambda each: -int(each[number]))
        below = floor
        window = min(window * 4, LARGEST_WINDOW)
    return found[:limit]


def find_once(name: str, queries: Iterable[Document]) -> Iterator[Document]:
    """Yield the documents that match any of the queries, each once.

    They may be thousands: between two mouthfuls of them other work goes on.
    """
    seen = set()
    for query in queries:
        for document in collection(name).find(query, batch_size=MOUTHFUL):
            if document["_id"] not in seen:
                seen.add(document["_id"])
                yield document
