"""The list of instruments that the last sync loaded.

A list is documents of many instruments each, under a generation of its own. One more document
names the generation in use, so that a whole list takes the place of another in one write. It
also says who is at work on the next one.
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
# A list can be replaced while it is read; that it is so again and again is a fault.
_READS = 5
# A big list is deleted in one go, which may take longer than a request's patience.
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
        """Return what tells the list in use from any other, None where there is none."""
        return (collection("market").find_one(_POINTER) or {}).get("generation")

    @classmethod
    def load(cls, known: object = None) -> StoredList | None:
        """Return the list in use; None where there is none, or it is the `known` generation.

        Raises LookupError where documents of it are missing.
        """
        for _ in range(_READS):
            pointer = collection("market").find_one(_POINTER) or {}
            generation = pointer.get("generation")
            if generation is None or generation == known:
                return None
            instruments = [
                _from_document(each)
                for chunk in collection("instruments").find({"generation": generation})
                for each in chunk["instruments"]
            ]
            # One that was deleted meanwhile has a successor.
            if len(instruments) == pointer["count"]:
                return StoredList(generation, pointer["synced_at"], instruments)
        raise LookupError(f"The list of instruments {generation} is not complete.")

    @classmethod
    def claim(cls, holder: ObjectId, now: datetime, lifetime: timedelta) -> datetime | None:
        """Begin a list under the generation `holder`, for a time that `keep` makes longer.

        Returns None, or until when another sync has it. A claim that is longer than any can
        be was made by a clock that was wrong, and counts for nothing.
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
        """Go on with a list; False where another sync took over meanwhile."""
        result = collection("market").update_one(
            {**_POINTER, "holder": holder}, {"$set": {"claimed_until": until}}
        )
        return result.matched_count == 1

    @classmethod
    def write(cls, holder: ObjectId, instruments: Sequence[Instrument]) -> None:
        """Add a part to a list that is not in use yet."""
        document = {"generation": holder, "instruments": [_to_document(e) for e in instruments]}
        collection("instruments").insert_one(document)

    @classmethod
    def publish(cls, holder: ObjectId, count: int, now: datetime) -> bool:
        """Put a list of `count` instruments in use, at once and as a whole.

        False, and nothing is changed, where another sync took over meanwhile.
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
        """Give up a list that was begun, and delete what was written of it.

        One that is in use after all, because word of its `publish` was lost, stays.
        """
        result = collection("market").update_one(
            {**_POINTER, "holder": holder},
            {"$set": {"claimed_until": now}, "$unset": {"holder": ""}},
        )
        if result.modified_count == 1:
            _delete({"generation": holder})

    @classmethod
    def delete_unused(cls, holder: ObjectId) -> None:
        """Delete what syncs that were killed left behind; `holder` is the one at work."""
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
    # As a whole number: 10,000 Decimal128 take longer to read than all the rest.
    document["tick_paise"] = int(instrument.tick_size * 100)
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
    )


@lru_cache(maxsize=1_000)
def _rupees(paise: int) -> Decimal:
    return Decimal(paise).scaleb(-2)
