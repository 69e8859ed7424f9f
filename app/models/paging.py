"""Pages, newest first, at a cost that does not grow with the history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from app.database import Document, collection

# A window grows while a filter leaves the page unfilled, up to this many numbers a query.
MAX_WINDOW = 4_096

T = TypeVar("T")


class FindBelow(Protocol[T]):
    """Finds up to `limit` items with a number under `below`, newest first."""

    def __call__(self, *, below: int, limit: int) -> list[T]: ...


def read_page(
    find: FindBelow[T], number: Callable[[T], int], *, cursor: int | None, newest: int, limit: int
) -> tuple[list[T], str | None]:
    """Return a page of up to `limit` items, and the cursor of the next page.

    The page begins under `cursor`, or at `newest`, the highest number there is.
    """
    items = find(below=min(cursor or newest + 1, newest + 1), limit=limit + 1)
    page = items[:limit]
    return page, str(number(page[-1])) if len(items) > limit else None


def newest_first(
    name: str, query: Document, number: str, *, below: int, limit: int
) -> list[dict[str, Any]]:
    """Return up to `limit` documents matching `query` with `number` under `below`, descending.

    Fields of the query that are None are ignored. `number` counts per user, with few gaps except
    among old documents, so a page is a range of it.
    """
    # SecantusDB: reads every match before it sorts and limits (docs/decisions.md). MongoDB would
    # take one query with sort and limit.
    filters = {field: value for field, value in query.items() if value is not None}
    page: list[Document] = []
    window = limit
    while below > 1 and len(page) < limit:
        floor = max(below - window, 1)
        documents = collection(name).find({**filters, number: {"$gte": floor, "$lt": below}})
        page += sorted(documents, key=lambda document: -int(document[number]))
        below = floor
        window = min(window * 4, MAX_WINDOW)
    return page[:limit]
