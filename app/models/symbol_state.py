"""The state of each symbol that survives a restart: its last quote, and why it is polled."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pymongo import UpdateOne

from app.database import Document, collection
from app.domain.money import is_price
from app.domain.quote import Posting, Quote, SeenQuote, Source
from app.models.quote_details import details_document, read_details

# Ticks of each symbol for processes that do not poll: trades are being opened while they arrive.
KEPT_TICKS = 64
WITHOUT_TICKS = {"ticks": 0, "peaks": 0}


@dataclass(frozen=True, slots=True)
class Marks:
    """The symbols to poll, by what needs them."""

    traded: set[str]
    alerted: set[str]


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
    def find_marks(cls) -> Marks:
        """Return every marked symbol, by one query."""
        marks = Marks(set(), set())
        fields = {"traded": 1, "alerted_at": 1}
        for document in collection("symbols").find({}, fields):
            if document.get("traded"):
                marks.traded.add(document["_id"])
            if "alerted_at" in document:
                marks.alerted.add(document["_id"])
        return marks

    @classmethod
    def find_traded(cls, *, before: datetime | None = None) -> set[str]:
        """Return every symbol that is polled for trades, or those last marked by `before`."""
        query = _traded(before) if before else {"traded": True}
        return {document["_id"] for document in collection("symbols").find(query, {"_id": 1})}

    @classmethod
    def save_quotes(
        cls,
        quotes: Iterable[Quote],
        seen_at: datetime | None = None,
        also: Sequence[UpdateOne] = (),
    ) -> None:
        """Store the last quotes of their symbols, received from their sources at `seen_at`.

        The other updates of symbols are part of the same command.
        """
        updates = [
            UpdateOne(
                {"_id": quote.symbol},
                # Without its place in the order of ticks, no other process trades at it.
                {"$set": _last(quote, seen_at), "$unset": {"board": "", "number": ""}},
                upsert=True,
            )
            for quote in quotes
        ]
        updates += also
        if updates:
            # Not a transaction: a process killed inside it would leave every symbol locked.
            collection("symbols").bulk_write(updates, ordered=False)

    @classmethod
    def share(
        cls, ticks: Iterable[Quote], confirmed: Iterable[Quote], received_at: datetime
    ) -> None:
        """Store new ticks, and last quotes that still stand, for other processes to trade at.

        Each quote has its posting. Of each symbol the last KEPT_TICKS ticks are kept.
        """
        by_symbol: dict[str, list[Quote]] = {}
        for tick in ticks:
            by_symbol.setdefault(tick.symbol, []).append(tick)
        updates = [
            UpdateOne(
                {"_id": symbol},
                {
                    "$set": _shared(new[-1], received_at),
                    "$push": {"ticks": {"$each": _ticks(new), "$slice": -KEPT_TICKS}},
                },
                upsert=True,
            )
            for symbol, new in by_symbol.items()
        ]
        updates += [
            UpdateOne(
                {"_id": quote.symbol},
                {"$set": _shared(quote, received_at)},
                upsert=True,
            )
            for quote in confirmed
            if quote.symbol not in by_symbol
        ]
        if updates:
            collection("symbols").bulk_write(updates, ordered=False)

    @classmethod
    def find_ticks(cls, symbols: Collection[str]) -> dict[str, list[Quote]]:
        """Return the shared ticks of each symbol that has some, in order."""
        query = {"_id": {"$in": list(symbols)}, "ticks": {"$exists": True}}
        documents = collection("symbols").find(query, {"ticks": 1})
        return {document["_id"]: _read_ticks(document) for document in documents}

    @classmethod
    def find_newest(cls) -> SeenQuote | None:
        """Return the quote that a source gave last, of whatever symbol."""
        document = collection("symbols").find_one(
            {"seen_at": {"$exists": True}}, WITHOUT_TICKS, sort=[("seen_at", -1)]
        )
        return _seen(document) if document else None

    @classmethod
    def load_quotes(cls) -> dict[str, Quote]:
        """Return the stored quotes, by symbol."""
        documents = collection("symbols").find({"price": {"$exists": True}}, WITHOUT_TICKS)
        return {quote.symbol: quote for quote in map(_quote, documents) if quote}

    @classmethod
    def find_quote(cls, symbol: str) -> Quote | None:
        """Return the stored quote of a symbol, None if there is none."""
        query = {"_id": symbol, "price": {"$exists": True}}
        document = collection("symbols").find_one(query, WITHOUT_TICKS)
        return _quote(document) if document else None

    @classmethod
    def find_quotes(cls, symbols: Collection[str]) -> dict[str, SeenQuote]:
        """Return the stored quotes of these symbols, and when they were received."""
        query = {"_id": {"$in": list(symbols)}, "price": {"$exists": True}}
        documents = collection("symbols").find(query, WITHOUT_TICKS)
        return {document["_id"]: seen for document in documents if (seen := _seen(document))}

    @classmethod
    def find_real_quote(cls, symbol: str) -> SeenQuote | None:
        """Return the stored quote of a real source, and when it was received."""
        query = {"_id": symbol, "real": {"$exists": True}}
        document = collection("symbols").find_one(query, WITHOUT_TICKS)
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
    real = {"real": dict(last)} if quote.source.is_real else {}
    return {**last, **real, "details": details_document(quote.details)}


def _shared(quote: Quote, seen_at: datetime) -> Document:
    assert quote.posting is not None, "a quote of the board"
    place = {"board": quote.posting.board, "number": quote.posting.number}
    return {**_last(quote, seen_at), **place}


def _ticks(quotes: Iterable[Quote]) -> list[Document]:
    return [
        {
            "price": quote.price,
            "source": quote.source.value,
            "timestamp": quote.timestamp,
            "board": quote.posting.board,
            "number": quote.posting.number,
        }
        for quote in deque(quotes, maxlen=KEPT_TICKS)
        if quote.posting
    ]


def _read_ticks(document: Document) -> list[Quote]:
    return [
        Quote(
            document["_id"],
            tick["price"],
            Source(tick["source"]),
            tick["timestamp"],
            Posting(tick["board"], tick["number"]),
        )
        for tick in document["ticks"]
    ]


def _seen(document: Document) -> SeenQuote | None:
    quote = _quote(document)
    return SeenQuote(quote, document.get("seen_at") or quote.timestamp) if quote else None


def _quote(document: Document) -> Quote | None:
    # An earlier version or an operator may have stored an invalid price.
    price = document["price"]
    if not isinstance(price, Decimal) or not is_price(price):
        return None
    board = document.get("board")
    posting = Posting(board, document["number"]) if board else None
    source = Source(document["source"])
    details = read_details(document.get("details"))
    return Quote(document["_id"], price, source, document["timestamp"], posting, details=details)
