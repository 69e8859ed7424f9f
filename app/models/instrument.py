"""The list of instruments that the last sync loaded.

A list has its own generation, and consists of documents with many instruments each. One further
document names the generation in use, so one write replaces the whole list. It also names the sync
that is writing the next list.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pymongo
from bson import ObjectId

from app.database import Document, collection
from app.domain.instrument import Instrument

# SecantusDB: reads 10,000 instruments in 50 ms by a thousand a document, and in 0.7 s by one.
# MongoDB would take a document for each.
CHUNK = 1_000
_POINTER = {"_id": "instruments"}
_FIELDS = ("symbol", "name", "exchange", "lot_size", "angel_token")
# A list may be replaced while it is read, but hardly this many times in a row.
_READS = 5
# Deleting a long list may take longer than the timeout of a request.
_DELETE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class StoredList:
    """A list in use. `synced_at` is when it was loaded, UTC."""

    generation: ObjectId
    synced_at: datetime
    instruments: list[Instrument]


class InstrumentList:
    @classmethod
    def generation_in_use(cls) -> object:
        """Return the generation of the list in use, None if there is no list."""
        return (collection("market").find_one(_POINTER) or {}).get("generation")

    @classmethod
    def load(cls, known: object = None) -> StoredList | None:
        """Return the list in use; None if there is none, or if it is the `known` generation.

        Raises LookupError if documents of it are missing.
        """
        for _ in range(_READS):
            pointer = collection("market").find_one(_POINTER) or {}
            generation = pointer.get("generation")
            if generation is None or generation == known:
                return None
            instruments = [
                _from_document(document)
                for chunk in collection("instruments").find({"generation": generation})
                for document in chunk["instruments"]
            ]
            # A list that is deleted while it is read has a successor.
            if len(instruments) == pointer["count"]:
                return StoredList(generation, pointer["synced_at"], instruments)
        raise LookupError(f"The list of instruments {generation} is not complete.")

    @classmethod
    def claim(cls, holder: ObjectId, now: datetime, lifetime: timedelta) -> datetime | None:
        """Begin a list of the generation `holder`; `keep` extends the claim.

        Returns None, or the time until which another sync holds the claim. A claim that ends
        later than `lifetime` allows was made by a wrong clock, and is ignored.
        """
        pointer = collection("market")
        pointer.update_one(_POINTER, {"$setOnInsert": {"claimed_until": now}}, upsert=True)
        good = {"$gt": now, "$lte": now + lifetime}
        result = pointer.update_one(
            {**_POINTER, "claimed_until": {"$not": good}},
            {"$set": {"holder": holder, "claimed_until": now + lifetime}},
        )
        if result.modified_count == 1:
            return None
        until: datetime = (pointer.find_one(_POINTER) or {})["claimed_until"]
        return until

    @classmethod
    def keep(cls, holder: ObjectId, until: datetime) -> bool:
        """Extend the claim; return False if another sync has taken over."""
        result = collection("market").update_one(
            {**_POINTER, "holder": holder}, {"$set": {"claimed_until": until}}
        )
        return result.matched_count == 1

    @classmethod
    def write(cls, holder: ObjectId, instruments: Sequence[Instrument]) -> None:
        """Add instruments to a list that is not in use yet."""
        document = {"generation": holder, "instruments": [_to_document(e) for e in instruments]}
        collection("instruments").insert_one(document)

    @classmethod
    def publish(cls, holder: ObjectId, count: int, now: datetime) -> bool:
        """Put a list of `count` instruments in use, atomically.

        Returns False, and changes nothing, if another sync has taken over.
        """
        result = collection("market").update_one(
            {**_POINTER, "holder": holder},
            {
                "$set": {
                    "generation": holder,
                    "count": count,
                    "synced_at": now,
                    "claimed_until": now,
                },
                "$unset": {"holder": ""},
            },
        )
        return result.modified_count == 1

    @classmethod
    def release(cls, holder: ObjectId, now: datetime) -> None:
        """Abandon a list, and delete what was written of it.

        A list that is in use, because only the reply to its `publish` was lost, stays.
        """
        result = collection("market").update_one(
            {**_POINTER, "holder": holder},
            {"$set": {"claimed_until": now}, "$unset": {"holder": ""}},
        )
        if result.modified_count == 1:
            _delete({"generation": holder})

    @classmethod
    def delete_unused(cls, holder: ObjectId) -> None:
        """Delete the remains of killed syncs; `holder` is the running one."""
        pointer = collection("market").find_one(_POINTER) or {}
        _delete({"generation": {"$nin": [holder, pointer.get("generation")]}})

    @classmethod
    def delete(cls, generation: ObjectId) -> None:
        """Delete a list that is no longer in use."""
        _delete({"generation": generation})


def _delete(query: Document) -> None:
    with pymongo.timeout(_DELETE_SECONDS):
        collection("instruments").delete_many(query)


def _to_document(instrument: Instrument) -> Document:
    document: Document = {name: getattr(instrument, name) for name in _FIELDS}
    # An integer: 10,000 Decimal128 take longer to read than all other fields.
    document["tick_paise"] = int(instrument.tick_size * 100)
    if instrument.freeze_quantity is not None:
        document["freeze_quantity"] = instrument.freeze_quantity
    if instrument.has_derivatives is not None:
        document["has_derivatives"] = instrument.has_derivatives
    if instrument.unlisted_at is not None:
        document["unlisted_at"] = instrument.unlisted_at
    return document


def _from_document(document: dict[str, Any]) -> Instrument:
    return Instrument(
        document["symbol"],
        document["name"],
        sys.intern(document["exchange"]),
        _rupees(document["tick_paise"]),
        document["lot_size"],
        document["angel_token"],
        unlisted_at=document.get("unlisted_at"),
        freeze_quantity=document.get("freeze_quantity"),
        has_derivatives=document.get("has_derivatives"),
    )


@lru_cache(maxsize=1_000)
def _rupees(paise: int) -> Decimal:
    return Decimal(paise).scaleb(-2)
