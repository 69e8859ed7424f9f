"""The state of each symbol that survives a restart: its last quote, and why it is polled."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pymongo import UpdateOne

from app.database import Document, collection
from app.domain.money import is_price
from app.domain.quote import Quote, SeenQuote, Source


@dataclass(frozen=True, slots=True)
class Marks:
    """The symbols to poll, by what needs them."""

    traded: set[str]
    alerted: set[str]
    # By sockets of processes that do not poll.
    followed: set[str]


class SymbolState:
    @classmethod
    def mark_traded(cls, symbol: str, now: datetime) -> None:
        """Have the symbol polled for a trade that is about to be written."""
        collection("symbols").update_one(
            {"_id": symbol}, {"$set": {"traded": True, "traded_at": now}}, upsert=True
        )

    @classmethod
    def unmark_traded(cls, symbol: str, before: datetime) -> bool:
        """Stop polling the symbol for trades, unless it was marked after `before`."""
        result = collection("symbols").update_one(
            {"_id": symbol, **_traded(before)}, {"$unset": {"traded": "", "traded_at": ""}}
        )
        return result.modified_count == 1

    @classmethod
    def mark_alerted(cls, symbol: str, now: datetime) -> None:
        """Have the symbol polled for an alert that is about to be written."""
        collection("symbols").update_one(
            {"_id": symbol}, {"$set": {"alerted_at": now}}, upsert=True
        )

    @classmethod
    def unmark_alerted(cls, symbol: str, before: datetime) -> bool:
        """Stop polling the symbol for alerts, unless it was marked after `before`."""
        result = collection("symbols").update_one(
            {"_id": symbol, "alerted_at": {"$lt": before}}, {"$unset": {"alerted_at": ""}}
        )
        return result.modified_count == 1

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
    def find_marks(cls, now: datetime) -> Marks:
        """Return every marked symbol, by one query."""
        marks = Marks(set(), set(), set())
        fields = {"traded": 1, "alerted_at": 1, "followed_until": 1}
        for document in collection("symbols").find({}, fields):
            if document.get("traded"):
                marks.traded.add(document["_id"])
            if "alerted_at" in document:
                marks.alerted.add(document["_id"])
            if "followed_until" in document and document["followed_until"] > now:
                marks.followed.add(document["_id"])
        return marks

    @classmethod
    def find_traded(cls, *, before: datetime | None = None) -> set[str]:
        """Return every symbol that is polled for trades, or those last marked by `before`."""
        query = _traded(before) if before else {"traded": True}
        return {document["_id"] for document in collection("symbols").find(query, {"_id": 1})}

    @classmethod
    def save_quotes(cls, quotes: Iterable[Quote], seen_at: datetime | None = None) -> None:
        """Store the last quotes of their symbols, received from their sources at `seen_at`."""
        updates = [
            UpdateOne({"_id": quote.symbol}, {"$set": _last(quote, seen_at)}, upsert=True)
            for quote in quotes
        ]
        if updates:
            # Not a transaction: a process killed inside it would leave every symbol locked.
            collection("symbols").bulk_write(updates, ordered=False)

    @classmethod
    def load_quotes(cls) -> dict[str, Quote]:
        """Return the stored quotes, by symbol."""
        documents = collection("symbols").find({"price": {"$exists": True}})
        return {quote.symbol: quote for quote in map(_quote, documents) if quote}

    @classmethod
    def find_quote(cls, symbol: str) -> Quote | None:
        """Return the stored quote of a symbol, None if there is none."""
        document = collection("symbols").find_one({"_id": symbol, "price": {"$exists": True}})
        return _quote(document) if document else None

    @classmethod
    def find_quotes(cls, symbols: Collection[str]) -> dict[str, SeenQuote]:
        """Return the stored quotes of these symbols, and when they were received."""
        query = {"_id": {"$in": list(symbols)}, "price": {"$exists": True}}
        documents = collection("symbols").find(query)
        return {document["_id"]: seen for document in documents if (seen := _seen(document))}

    @classmethod
    def find_real_quote(cls, symbol: str) -> SeenQuote | None:
        """Return the stored quote of a real source, and when it was received."""
        document = collection("symbols").find_one({"_id": symbol, "real": {"$exists": True}})
        return _seen({"_id": symbol, **document["real"]}) if document else None


def _traded(before: datetime) -> Document:
    # Marks of earlier versions have no time.
    return {"traded": True, "traded_at": {"$not": {"$gt": before}}}


def _last(quote: Quote, seen_at: datetime | None) -> Document:
    last: Document = {
        "price": quote.price,
        "source": quote.source.value,
        "timestamp": quote.timestamp,
        **({"seen_at": seen_at} if seen_at else {}),
    }
    # Stored separately: simulated prices may follow, and never close a trade opened at a real one.
    return {**last, "real": dict(last)} if quote.source.is_real else last


def _seen(document: Document) -> SeenQuote | None:
    quote = _quote(document)
    return SeenQuote(quote, document.get("seen_at") or quote.timestamp) if quote else None


def _quote(document: Document) -> Quote | None:
    # An earlier version or an operator may have stored an invalid price.
    price = document["price"]
    if not isinstance(price, Decimal) or not is_price(price):
        return None
    return Quote(document["_id"], price, Source(document["source"]), document["timestamp"])
