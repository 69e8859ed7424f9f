"""Pages, newest first, at a cost that does not grow with the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from pymongo import DESCENDING

from app.database import Document, collection
from app.database.hints import use_index
from app.extensions import mongo

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
    name: str, query: Document, index: Sequence[str], *, above: int = 0, below: int, limit: int
) -> list[dict[str, Any]]:
    """Return up to `limit` documents matching `query`, numbered over `above` and under `below`.

    They are in descending order.

    Fields of the query that are None are ignored, also in the `index`, whose last field is the
    number. That counts per user, with few gaps except among old documents.
    """
    filters = {field: value for field, value in query.items() if value is not None}
    *equal, number = (field for field in index if field in filters or field == index[-1])
    hint = use_index(*equal, number)
    page: list[Document] = []
    # SecantusDB: reads every match before it sorts and limits, so a page is read as ranges of the
    # number (docs/decisions.md). MongoDB takes one range, and stops at the limit.
    window = limit if mongo.is_secantus else below
    first = above + 1
    while below > first and len(page) < limit:
        floor = max(below - window, first)
        found = collection(name).find({**filters, number: {"$gte": floor, "$lt": below}}, **hint)
        page += found.sort(number, DESCENDING).limit(limit - len(page))
        below = floor
        window = min(window * 4, MAX_WINDOW)
    return page
