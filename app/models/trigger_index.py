"""What waits for a price, trades and alerts alike: found by symbol and the prices that reach it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal

from bson import ObjectId

from app.database import Document, collection
from app.domain.money import ZERO

# As both TradeStatus and AlertStatus call what still waits.
ACTIVE = "ACTIVE"
# To decode so many documents holds up everything else in the process for some 10 ms.
CURSOR_BATCH_SIZE = 250


@dataclass(frozen=True, slots=True)
class TriggerIndex:
    """A collection, and its fields with the prices at or `below`, and at or `above`, to react."""

    collection: str
    below: str
    above: str

    def queries(self, symbol: str, lowest: Decimal, highest: Decimal) -> tuple[Document, Document]:
        """Return the finds of what prices from `lowest` to `highest` reach, one a side.

        An index holds each side in order, so what is read is what is reached, however much waits.
        """
        waiting = {"status": ACTIVE, "symbol": symbol}
        return (
            {**waiting, self.below: {"$gte": lowest}},
            # From 0: below that the index has whatever has no such level, and the embedded
            # database would read it all.
            {**waiting, self.above: {"$gt": ZERO, "$lte": highest}},
        )

    def find_reached(self, symbol: str, lowest: Decimal, highest: Decimal) -> Iterator[Document]:
        """Yield what prices from `lowest` to `highest` reach, each document once.

        They may be thousands: between two mouthfuls of them other work goes on.
        """
        seen = set()
        for query in self.queries(symbol, lowest, highest):
            for document in collection(self.collection).find(query, batch_size=CURSOR_BATCH_SIZE):
                if document["_id"] not in seen:
                    seen.add(document["_id"])
                    yield document

    def any_active(self, symbol: str) -> bool:
        """Tell whether anything waits for prices of the symbol."""
        query = {"status": ACTIVE, "symbol": symbol}
        return collection(self.collection).find_one(query, {"_id": 1}) is not None

    def find_still_active(self, ids: Collection[ObjectId]) -> set[ObjectId]:
        """Return which of these still wait."""
        query = {"_id": {"$in": list(ids)}, "status": ACTIVE}
        return {each["_id"] for each in collection(self.collection).find(query, {})}
