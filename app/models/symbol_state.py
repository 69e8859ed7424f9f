"""What outlives a restart about each symbol: its last quote, and whether it was ever traded."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pymongo import UpdateOne

from app.database import collection
from app.domain.quote import Quote, Source


class SymbolState:
    @classmethod
    def mark_traded(cls, symbol: str) -> None:
        """Have the symbol watched from now on."""
        collection("symbols").update_one({"_id": symbol}, {"$set": {"traded": True}}, upsert=True)

    @classmethod
    def mark_followed(cls, symbols: Iterable[str], until: datetime) -> None:
        """Have the symbols polled until a time, for sockets of a process that does not poll."""
        updates = [
            UpdateOne({"_id": symbol}, {"$set": {"followed_until": until}}, upsert=True)
            for symbol in symbols
        ]
        if updates:
            collection("symbols").bulk_write(updates, ordered=False)

    @classmethod
    def find_traded(cls) -> set[str]:
        """Return every symbol that has been traded."""
        return {each["_id"] for each in collection("symbols").find({"traded": True}, {"_id": 1})}

    @classmethod
    def find_followed(cls, now: datetime) -> set[str]:
        """Return every symbol that sockets of other processes follow."""
        query = {"followed_until": {"$gt": now}}
        return {each["_id"] for each in collection("symbols").find(query, {"_id": 1})}

    @classmethod
    def save_quotes(cls, quotes: Iterable[Quote]) -> None:
        """Keep these as the last quotes of their symbols."""
        updates = [
            UpdateOne(
                {"_id": each.symbol},
                {
                    "$set": {
                        "price": each.price,
                        "source": each.source.value,
                        "timestamp": each.timestamp,
                    }
                },
                upsert=True,
            )
            for each in quotes
        ]
        if updates:
            collection("symbols").bulk_write(updates, ordered=False)

    @classmethod
    def load_quotes(cls) -> dict[str, Quote]:
        """Return the last quotes kept, by symbol."""
        found = collection("symbols").find({"price": {"$exists": True}})
        return {
            each["_id"]: Quote(
                each["_id"], each["price"], Source(each["source"]), each["timestamp"]
            )
            for each in found
        }
