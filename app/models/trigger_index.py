"""Trades and alerts that wait for a price, found by symbol and the prices that reach them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from pymongo import ASCENDING, DESCENDING

from app.database import Document, collection
from app.database.hints import use_index
from app.domain.money import ZERO

# Decoding 250 documents holds up everything else in the process for some 10 ms.
CURSOR_BATCH_SIZE = 250


@dataclass(frozen=True, slots=True)
class TriggerIndex:
    """The two indexes of a collection: `waiting`, `symbol`, and the trigger price of one side.

    `below` names the field of the price at or under which a document triggers, `above` the one
    at or over which it does. A document has `waiting: true` as long as a price can trigger it.
    """

    collection: str
    below: str
    above: str

    def queries(self, symbol: str, lowest: Decimal, highest: Decimal) -> tuple[Document, Document]:
        """Return a query a side for what prices from `lowest` to `highest` reach.

        Each reads a range of its index: exactly the documents it returns.
        """
        waiting = {"waiting": True, "symbol": symbol}
        return (
            {**waiting, self.below: {"$gte": lowest}},
            # SecantusDB: without the lower bound it would read every document without such a
            # price. MongoDB compares numbers with numbers only.
            {**waiting, self.above: {"$gt": ZERO, "$lte": highest}},
        )

    def find_reached(self, symbol: str, lowest: Decimal, highest: Decimal) -> Iterator[Document]:
        """Yield each document that prices from `lowest` to `highest` reach, once.

        There may be thousands: other work is done between two batches of the cursor.
        """
        # SecantusDB: scans the collection for any $or. MongoDB would take both sides in one query.
        seen = set()
        queries = self.queries(symbol, lowest, highest)
        for price, query in zip((self.below, self.above), queries, strict=True):
            hint = use_index("waiting", "symbol", price)
            found = collection(self.collection).find(query, batch_size=CURSOR_BATCH_SIZE, **hint)
            for document in found:
                if document["_id"] not in seen:
                    seen.add(document["_id"])
                    yield document

    def highest_below(self, symbol: str, floor: Decimal) -> Decimal | None:
        """Return the highest price, not under `floor`, at or under which something triggers."""
        query = {"waiting": True, "symbol": symbol, self.below: {"$gte": floor}}
        return self._first(query, self.below, DESCENDING)

    def lowest_above(self, symbol: str, ceiling: Decimal) -> Decimal | None:
        """Return the lowest price, not over `ceiling`, at or over which something triggers."""
        query = {"waiting": True, "symbol": symbol, self.above: {"$gt": ZERO, "$lte": ceiling}}
        return self._first(query, self.above, ASCENDING)

    def _first(self, query: Document, price: str, direction: int) -> Decimal | None:
        hint = use_index("waiting", "symbol", price)
        found = collection(self.collection).find(query, {"_id": 0, price: 1}, **hint)
        first = next(iter(found.sort(price, direction).limit(1)), None)
        return first[price] if first else None

    def any_waiting(self, symbol: str) -> bool:
        """Return whether anything waits for prices of the symbol."""
        query = {"waiting": True, "symbol": symbol}
        hint = use_index("waiting", "symbol", self.below)
        return collection(self.collection).find_one(query, {"_id": 1}, **hint) is not None
