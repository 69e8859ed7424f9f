"""Pages, newest first, at a cost that does not grow with the history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol, TypeVar

from pymongo import ASCENDING, DESCENDING

from app.database import Document, collection
from app.database.hints import use_index
from app.extensions import mongo

# A window grows while a filter leaves the page unfilled, up to this many numbers a query.
MAX_WINDOW = 4_096
# Documents that a pass over all of them reads at once: about 20 ms of work between two reads.
PASS_SIZE = 200

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
    filters, number, hint = _indexed(query, index)
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


def numbered_windows(
    name: str,
    query: Document,
    index: Sequence[str],
    first: int,
    last: int,
    fields: Mapping[str, int] | None = None,
) -> Iterator[list[Document]]:
    """Yield the documents matching `query` with a number from `first` to `last`, ascending.

    Each list is of up to PASS_SIZE numbers and has a query of its own, so a slow reader keeps no
    cursor open. `fields` and `index` are as in `find` and `newest_first`.
    """
    filters, number, hint = _indexed(query, index)
    for low in range(first, last + 1, PASS_SIZE):
        window = {"$gte": low, "$lte": min(low + PASS_SIZE - 1, last)}
        found = collection(name).find({**filters, number: window}, fields, **hint)
        yield list(found.sort(number, ASCENDING))


def windows_to_end(
    name: str, query: Document, index: Sequence[str], first: int, recorded: int
) -> Iterator[list[Document]]:
    """Yield the documents matching `query` with a number from `first` on, as `numbered_windows`.

    `recorded` is what another document says that the last number is: it may be wrong.
    """
    yield from numbered_windows(name, query, index, first, recorded)
    filters, number, hint = _indexed(query, index)
    last = max(first - 1, recorded)
    while True:
        low, last = last + 1, last + PASS_SIZE
        (documents,) = numbered_windows(name, query, index, low, last)
        yield documents
        later = {**filters, number: {"$gt": last}}
        if not documents and not collection(name).find_one(later, {"_id": 1}, **hint):
            return


def last_number(name: str, query: Document, index: Sequence[str], recorded: int) -> int:
    """Return the highest number of the documents matching `query`, 0 if there are none.

    `recorded` is as in `windows_to_end`.
    """
    later = list(chain.from_iterable(windows_to_end(name, query, index, recorded + 1, recorded)))
    last = later or newest_first(name, query, index, below=recorded + 1, limit=1)
    return int(last[-1][index[-1]]) if last else 0


def _indexed(query: Document, index: Sequence[str]) -> tuple[Document, str, dict[str, Any]]:
    """Return the filters of a query, the field of the number, and the hint of the index."""
    filters = {field: value for field, value in query.items() if value is not None}
    *equal, number = (field for field in index if field in filters or field == index[-1])
    return filters, number, use_index(*equal, number)
