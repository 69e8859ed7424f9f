"""Bounds in the database: between which prices nothing waits, by symbol.

A writer widens the bounds of a symbol before it writes what waits; the process that settles the
symbol narrows them by what it finds. What is found lacks a trade that is being written. So the
bounds are a join of three: of what was `settled` long ago, which alone is narrowed, and of what
writers widened in the current generation (`recent`) and the one before (`earlier`). A generation
lasts longer than writing a trade takes: what was widened before `earlier` is written, or never will
be. docs/decisions.md has the proof.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from pymongo import UpdateOne

from app.database import Document, collection
from app.domain.bounds import NOTHING, Bounds
from app.models import alert, trade
from app.models.share_lease import share_of

# A document that counts, by share, how often bounds were widened: a change is found by one read.
VERSIONS = "versions"
INDEXES = (trade.INDEX, alert.INDEX)


@dataclass(frozen=True, slots=True)
class StoredBounds:
    """The bounds of a symbol. `settled` is None while it is unknown what waits."""

    symbol: str
    generation: int = 0
    settled: Bounds | None = None
    earlier: Bounds = NOTHING
    recent: Bounds = NOTHING

    @property
    def bounds(self) -> Bounds | None:
        """The bounds of all that waits or is about to, None if they are unknown."""
        if self.settled is None:
            return None
        return self.settled.joined(self.earlier).joined(self.recent)

    @classmethod
    def widen(cls, levels: Mapping[str, Bounds]) -> None:
        """Include the levels, by symbol, of what is about to be written."""
        # In this order: a reader of the version has read, or reads next, what was widened before.
        shares = {str(share_of(symbol)): 1 for symbol in levels}
        updates = [_widening(symbol, bounds) for symbol, bounds in levels.items()]
        versions = UpdateOne({"_id": VERSIONS}, {"$inc": shares}, upsert=True)
        collection("bounds").bulk_write([*updates, versions])

    @classmethod
    def find_versions(cls) -> dict[int, int]:
        """Return how often bounds of each share were widened; a share without any is missing."""
        document = collection("bounds").find_one({"_id": VERSIONS}) or {}
        return {int(name): version for name, version in document.items() if name != "_id"}

    @classmethod
    def find_of_shares(cls, numbers: Collection[int]) -> list[StoredBounds]:
        """Return the bounds of every symbol of these shares that has some."""
        return list(map(_read, collection("bounds").find({"share": {"$in": sorted(numbers)}})))

    @classmethod
    def find(cls, symbol: str) -> StoredBounds:
        """Return the bounds of a symbol."""
        document = collection("bounds").find_one({"_id": symbol})
        return _read(document) if document else cls(symbol)

    def narrow(self, settled: Bounds) -> StoredBounds | None:
        """Store what was found to wait; return the bounds, None if their generation is over."""
        query = {"_id": self.symbol, "generation": self.generation}
        created = [_widening(self.symbol, NOTHING)] if self.settled is None else []
        narrowed = UpdateOne(query, {"$set": {"settled": _fields(settled)}})
        result = collection("bounds").bulk_write([*created, narrowed])
        written = result.matched_count + result.upserted_count
        return replace(self, settled=settled) if written == len(created) + 1 else None

    @classmethod
    def begin_generations(cls, ended: Iterable[StoredBounds]) -> None:
        """Begin the next generation of these, each of which has lasted long enough."""
        if updates := [each._next_generation() for each in ended]:
            collection("bounds").bulk_write(updates, ordered=False)

    def _next_generation(self) -> UpdateOne:
        query = {"_id": self.symbol, "generation": self.generation}
        # By the names of the fields: others may have widened them again, or narrowed them.
        moved = {"$rename": {"recent": "earlier"}}
        if self.recent == NOTHING:
            moved = {"$unset": {"earlier": ""}}
        settled = _joining("settled", self.earlier)
        return UpdateOne(query, {**settled, **moved, "$inc": {"generation": 1}})


def highest_below(symbol: str, floor: Decimal) -> Decimal | None:
    """Return the highest price, not under `floor`, that a trade or an alert waits for to fall."""
    found = [index.highest_below(symbol, floor) for index in INDEXES]
    return max((each for each in found if each is not None), default=None)


def lowest_above(symbol: str, ceiling: Decimal) -> Decimal | None:
    """Return the lowest price, not over `ceiling`, that a trade or an alert waits for to rise."""
    found = [index.lowest_above(symbol, ceiling) for index in INDEXES]
    return min((each for each in found if each is not None), default=None)


def _widening(symbol: str, bounds: Bounds) -> UpdateOne:
    new = {"share": share_of(symbol), "generation": 0}
    update = {**_joining("recent", bounds), "$setOnInsert": new}
    return UpdateOne({"_id": symbol}, update, upsert=True)


def _joining(name: str, bounds: Bounds) -> Document:
    joined: Document = {}
    if bounds.below is not None:
        joined["$max"] = {f"{name}.below": bounds.below}
    if bounds.above is not None:
        joined["$min"] = {f"{name}.above": bounds.above}
    return joined


def _fields(bounds: Bounds) -> Document:
    fields = {"below": bounds.below, "above": bounds.above}
    return {name: price for name, price in fields.items() if price is not None}


def _read(document: Document) -> StoredBounds:
    settled = document.get("settled")
    return StoredBounds(
        symbol=document["_id"],
        generation=document["generation"],
        settled=None if settled is None else Bounds(**settled),
        earlier=Bounds(**document.get("earlier", {})),
        recent=Bounds(**document.get("recent", {})),
    )
