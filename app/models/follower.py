"""What the processes that poll nothing need: one document for each of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bson import ObjectId

from app.database import collection
from app.models.share_lease import NOW


@dataclass(frozen=True, slots=True)
class Followers:
    """The living processes that follow the prices of others, and the symbols they want polled."""

    count: int
    symbols: set[str]

    @classmethod
    def save(cls, process: ObjectId, symbols: Collection[str], seconds: float) -> None:
        """Have the symbols polled for `seconds`, by the clock of the database."""
        until = {"$add": [NOW, int(seconds * 1000)]}
        changed = [{"$set": {"symbols": {"$literal": list(symbols)}, "until": until}}]
        collection("followers").update_one({"_id": process}, changed, upsert=True)

    @classmethod
    def remove(cls, process: ObjectId) -> None:
        """Forget a process that ends."""
        collection("followers").delete_one({"_id": process})

    @classmethod
    def find(cls, *, excluding: ObjectId | None = None) -> Followers:
        """Return what the other living processes want, by one query."""
        query = {"_id": {"$ne": excluding}, "$expr": {"$gt": ["$until", NOW]}}
        living = list(collection("followers").find(query))
        symbols = {symbol for document in living for symbol in document["symbols"]}
        return cls(len(living), symbols)

    @classmethod
    def remove_dead(cls) -> int:
        """Delete the documents of processes that ended without doing so."""
        return (
            collection("followers").delete_many({"$expr": {"$lte": ["$until", NOW]}}).deleted_count
        )
