"""The leases of the monitor: which worker settles which share of the symbols.

Times are those of the database's clock, in milliseconds, so the clocks of the workers may differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from zlib import crc32

from bson import ObjectId
from pymongo import UpdateOne

from app.database import Document, collection
from app.processes import is_dead

PREFIX = "monitor:"
# Symbols are divided into this many shares, so at most as many workers settle at once.
SHARES = 16
# SecantusDB: finds a stored date neither less nor greater than `$$NOW`. MongoDB compares dates.
NOW = {"$toLong": "$$NOW"}


def share_of(symbol: str) -> int:
    """Return the share of a symbol: the same in every process and release."""
    return crc32(symbol.encode()) % SHARES


@dataclass(frozen=True, slots=True)
class ShareLease:
    """The lease of one share. `epoch` rises with each change of its holder."""

    number: int
    epoch: int
    holder: ObjectId | None
    # What identifies the process of the holder, if its system tells (app/processes.py).
    process: Document | None
    # The worker that asks the holder for the share.
    wanted_by: ObjectId | None
    # Seconds until the lease expires.
    remaining: float

    @classmethod
    def find_all(cls) -> list[ShareLease]:
        """Return the lease of each share, in their order; the missing ones are created."""
        leases = cls._find()
        if len(leases) < SHARES:
            _create()
            leases = cls._find()
        return leases

    @classmethod
    def any_living(cls) -> bool:
        """Return whether a worker that is not known to be dead holds a lease."""
        return any(
            lease.holder and lease.remaining > 0 and not is_dead(lease.process)
            for lease in cls._find()
        )

    @classmethod
    def take(
        cls,
        numbers: Collection[int],
        holder: ObjectId,
        *,
        seconds: float,
        process: Document | None,
        dead: Collection[ObjectId],
    ) -> None:
        """Give the holder those of the shares that are free, or held by one of the `dead`."""
        is_free = {"$or": [{"$lte": ["$until", NOW]}, {"$in": ["$holder", list(dead)]}]}
        collection("leases").update_many(
            {**_shares(numbers), "$expr": is_free},
            [
                {
                    "$set": {
                        "holder": holder,
                        "process": {"$literal": process},
                        "epoch": {"$add": ["$epoch", 1]},
                        "until": _after(seconds),
                        "wanted_by": None,
                    }
                }
            ],
        )

    @classmethod
    def renew(
        cls,
        epochs: Mapping[int, int],
        holder: ObjectId,
        seconds: float,
        *,
        only_unwanted: bool = False,
    ) -> int:
        """Renew those of these leases that the holder still has; return how many it renewed.

        With `only_unwanted` only those that no other worker asks for.
        """
        query = _held(epochs, holder) | ({"wanted_by": None} if only_unwanted else {})
        renewed = [{"$set": {"until": _after(seconds)}}]
        return collection("leases").update_many(query, renewed).matched_count

    @classmethod
    def ask_for(cls, numbers: Collection[int], worker: ObjectId) -> None:
        """Ask the holders of these shares to release them for the worker."""
        collection("leases").update_many(
            {**_shares(numbers), "wanted_by": None}, {"$set": {"wanted_by": worker}}
        )

    @classmethod
    def release(cls, numbers: Collection[int], holder: ObjectId) -> None:
        """Free the holder's shares, for the workers that ask for them."""
        collection("leases").update_many(
            {**_shares(numbers), "holder": holder},
            [{"$set": {"holder": None, "process": None, "until": NOW}}],
        )

    @classmethod
    def confirm(cls, epochs: Mapping[int, int | None], holder: ObjectId) -> bool:
        """Return whether the holder still has these shares, each at its epoch.

        In a transaction, no other worker takes one of them before its end: that write would
        conflict with this one.
        """
        result = collection("leases").update_many(_held(epochs, holder), {"$inc": {"batches": 1}})
        return result.matched_count == len(epochs)

    @classmethod
    def _find(cls) -> list[ShareLease]:
        pipeline: list[Document] = [
            {"$match": _shares(range(SHARES))},
            {"$addFields": {"remaining": {"$subtract": ["$until", NOW]}}},
        ]
        leases = [
            cls(
                number=int(document["_id"].removeprefix(PREFIX)),
                epoch=document["epoch"],
                holder=document["holder"],
                process=document["process"],
                wanted_by=document["wanted_by"],
                remaining=document["remaining"] / 1000,
            )
            for document in collection("leases").aggregate(pipeline)
        ]
        return sorted(leases, key=lambda lease: lease.number)


def _held(epochs: Mapping[int, int | None], holder: ObjectId) -> Document:
    """Return a query for those of these shares that the holder has, each at its epoch."""
    by_epoch: dict[int | None, list[int]] = {}
    for number, epoch in epochs.items():
        by_epoch.setdefault(epoch, []).append(number)
    parts = [{**_shares(numbers), "epoch": epoch} for epoch, numbers in by_epoch.items()]
    return {"holder": holder, **(parts[0] if len(parts) == 1 else {"$or": parts})}


def _shares(numbers: Iterable[int]) -> Document:
    return {"_id": {"$in": [f"{PREFIX}{number}" for number in numbers]}}


def _after(seconds: float) -> Document:
    return {"$add": [NOW, int(seconds * 1000)]}


def _create() -> None:
    new = {"holder": None, "process": None, "wanted_by": None, "epoch": 0, "until": 0}
    # Upserts by `_id` alone, which the database repeats if two processes insert at once.
    collection("leases").bulk_write(
        [
            UpdateOne({"_id": f"{PREFIX}{number}"}, {"$setOnInsert": new}, upsert=True)
            for number in range(SHARES)
        ],
        ordered=False,
    )
