"""Trailing stops in the database: the best prices of their symbols, and the stops themselves.

The best prices are stored once a pass, with the last quote of their symbol and never with a trade.
So a price that moves stops writes nothing about any trade, and the next process that settles the
symbol continues from them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from bson import ObjectId
from pymongo import UpdateOne

from app.database import Document, collection
from app.database.batches import batched
from app.database.hints import use_index
from app.domain.quote import Posting, Quote, Source
from app.domain.trailing import TrailingStop, Unit
from app.models.bulk import IN_CLAUSE_SIZE, by_owner
from app.models.share_lease import share_of
from app.models.trade import Trade
from app.models.trade_document import read_trailing_stop
from app.models.trigger_index import CURSOR_BATCH_SIZE

PEAKS = {"peaks": 1, "peaks_as_of": 1, "peaks_epoch": 1}
KEY = ("waiting", "symbol", "trail_unit", "trail")
FIELDS = (
    *("user_id", "trade_type", "entry_price", "entry_source", "entry_timestamp", "entry_posting"),
    "entry_slippage",
    *("trailing_offset", "trailing_pct", "trailing_step", "trailing_tick_size", "trailing_start"),
)


@dataclass(frozen=True, slots=True)
class TrailedTrade:
    """A trade with a trailing stop, as far as the stop depends on it."""

    id: ObjectId
    user_id: str
    stop: TrailingStop


@dataclass(frozen=True, slots=True)
class Trail:
    """The best prices of a symbol that trailing stops follow, by the name of their stack.

    They include all prices up to `as_of`, in the time of the feed.
    """

    symbol: str
    marked_at: datetime | None = None
    as_of: datetime | None = None
    peaks: Mapping[str, tuple[Quote, ...]] = field(default_factory=dict)

    @classmethod
    def mark(cls, symbol: str, now: datetime) -> None:
        """Have the best prices of the symbol followed, for a stop that is about to begin.

        The quote that it begins at must be read after that.
        """
        collection("trails").update_one({"_id": symbol}, {"$set": {"marked_at": now}}, upsert=True)

    @classmethod
    def find_marked(cls, since: datetime) -> dict[str, datetime]:
        """Return the symbols marked since a time, and when they were."""
        found = collection("trails").find({"marked_at": {"$gte": since}}, {"marked_at": 1})
        return {document["_id"]: document["marked_at"] for document in found}

    @classmethod
    def find_all(cls) -> list[Trail]:
        """Return every marked symbol with its best prices."""
        marked = {each["_id"]: each["marked_at"] for each in collection("trails").find()}
        stored = collection("symbols").find({"peaks_epoch": {"$exists": True}}, PEAKS)
        by_symbol = {document["_id"]: document for document in stored}
        return [_read(symbol, time, by_symbol.get(symbol, {})) for symbol, time in marked.items()]

    @classmethod
    def find(cls, symbols: Collection[str]) -> dict[str, Trail]:
        """Return the stored best prices of each symbol that has some, without its mark."""
        query = {"_id": {"$in": list(symbols)}, "peaks_epoch": {"$exists": True}}
        found = collection("symbols").find(query, PEAKS)
        return {document["_id"]: _read(document["_id"], None, document) for document in found}

    def update(self, epochs: Mapping[int, int]) -> UpdateOne:
        """Return the update that stores the best prices with the last quote of the symbol.

        Nothing is stored if a later holder of the share has stored some. `epochs` are those of the
        shares that are held.
        """
        epoch = epochs.get(share_of(self.symbol), 0)
        peaks = {name: list(map(_quote_fields, quotes)) for name, quotes in self.peaks.items()}
        return UpdateOne(
            {"_id": self.symbol, "peaks_epoch": {"$not": {"$gt": epoch}}},
            {"$set": {"peaks": peaks, "peaks_as_of": self.as_of, "peaks_epoch": epoch}},
        )

    @classmethod
    def remove(cls, symbol: str, marked_before: datetime) -> bool:
        """Forget a symbol without trailing stops, unless it was marked later."""
        query = {"_id": symbol, "marked_at": {"$lt": marked_before}}
        if collection("trails").delete_one(query).deleted_count == 0:
            return False
        collection("symbols").update_one({"_id": symbol}, {"$unset": dict.fromkeys(PEAKS, "")})
        return True


def find_trailed(symbol: str) -> Iterator[TrailedTrade]:
    """Yield every open trade in the symbol with a trailing stop."""
    # Any unit: an index holds the trades without a trailing stop before every text.
    query = {"waiting": True, "symbol": symbol, "trail_unit": {"$gt": ""}}
    found = collection("trades").find(
        query, dict.fromkeys(FIELDS, 1), batch_size=CURSOR_BATCH_SIZE, **use_index(*KEY)
    )
    return _trailed(found)


def find_trailed_near(
    symbol: str, unit: Unit, fallen: Decimal, risen: Decimal
) -> Iterator[TrailedTrade]:
    """Yield the trades whose trailing stop may have fired.

    `fallen` is how far the price has fallen from the highest that a BUY may have followed, `risen`
    how far it has risen from the lowest that a SELL may have, both in `unit`.
    """
    query = {
        "waiting": True,
        "symbol": symbol,
        "trail_unit": unit.value,
        "trail": {"$gte": -risen, "$lte": fallen},
    }
    found = collection("trades").find(
        query, dict.fromkeys(FIELDS, 1), batch_size=CURSOR_BATCH_SIZE, **use_index(*KEY)
    )
    return _trailed(found)


def find_waiting_trades(owners: Mapping[ObjectId, str]) -> Iterator[Trade]:
    """Yield those of the trades, given with their users, that are still open."""
    for ids in batched(list(owners), IN_CLAUSE_SIZE):
        query = {**by_owner({id: owners[id] for id in ids}), "waiting": True}
        for document in collection("trades").find(query, **use_index("_id")):
            yield Trade.from_document(document)


def _trailed(documents: Iterable[Document]) -> Iterator[TrailedTrade]:
    for document in documents:
        if stop := read_trailing_stop(document):
            yield TrailedTrade(document["_id"], document["user_id"], stop)


def _quote_fields(quote: Quote) -> Document:
    posting = quote.posting
    return {
        "price": quote.price,
        "source": quote.source.value,
        "timestamp": quote.timestamp,
        "board": posting.board if posting else None,
        "number": posting.number if posting else None,
    }


def _read(symbol: str, marked_at: datetime | None, document: Document) -> Trail:
    peaks = {
        name: tuple(_quote(symbol, fields) for fields in quotes)
        for name, quotes in document.get("peaks", {}).items()
    }
    return Trail(symbol, marked_at, document.get("peaks_as_of"), peaks)


def _quote(symbol: str, fields: Document) -> Quote:
    board = fields["board"]
    posting = Posting(board, fields["number"]) if board else None
    source = Source(fields["source"])
    return Quote(symbol, fields["price"], source, fields["timestamp"], posting)
