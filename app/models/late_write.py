"""Trades and alerts that were committed too late for a gap, until their prices are settled."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Self

from bson import ObjectId

from app.database import Document, collection
from app.domain.quote import Posting, Quote, Source
from app.models.share_lease import share_of


@dataclass(frozen=True, slots=True)
class LateWrite:
    """Trades, or an alert, of one user, and the quote since which prices may be missing.

    The process that polls the symbol settles these prices and deletes it.
    """

    user_id: str
    quote: Quote
    trade_ids: tuple[ObjectId, ...] = ()
    alert_id: ObjectId | None = None
    id: ObjectId = field(default_factory=ObjectId)

    def insert(self) -> None:
        """Store it for the process that polls the symbol."""
        collection("late_writes").insert_one(
            {
                "_id": self.id,
                "share": share_of(self.quote.symbol),
                "user_id": self.user_id,
                "trade_ids": list(self.trade_ids),
                "alert_id": self.alert_id,
                "quote": _quote_fields(self.quote),
            }
        )

    @classmethod
    def find(cls, shares: Collection[int]) -> list[Self]:
        """Return those of symbols of these shares, oldest first."""
        found = collection("late_writes").find({"share": {"$in": sorted(shares)}})
        return [cls._read(document) for document in sorted(found, key=lambda each: each["_id"])]

    def delete(self) -> None:
        """Forget it: its prices are settled."""
        collection("late_writes").delete_one({"_id": self.id, "user_id": self.user_id})

    @classmethod
    def _read(cls, document: Document) -> Self:
        quote = document["quote"]
        posting = Posting(**quote["posting"]) if quote["posting"] else None
        return cls(
            document["user_id"],
            Quote(
                quote["symbol"],
                quote["price"],
                Source(quote["source"]),
                quote["timestamp"],
                posting,
            ),
            tuple(document["trade_ids"]),
            document["alert_id"],
            document["_id"],
        )


def _quote_fields(quote: Quote) -> Document:
    posting = quote.posting
    return {
        "symbol": quote.symbol,
        "price": quote.price,
        "source": quote.source.value,
        "timestamp": quote.timestamp,
        "posting": {"board": posting.board, "number": posting.number} if posting else None,
    }
