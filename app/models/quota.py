"""Quotas: counts per UTC day, against a limit that all processes share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from pymongo.errors import DuplicateKeyError

from app.database import collection

# Longer than a day, even if server clocks differ.
KEPT = timedelta(days=2)


def purge_at() -> datetime:
    """Return when the database may delete a document of today. The database uses real time."""
    return datetime.now(UTC) + KEPT


class Quota:
    @classmethod
    def key(cls, kind: str, now: datetime, address: str | None = None) -> str:
        """Return the key of today's count, for all or for one address, which it hashes."""
        day = f"{kind}:{now:%Y-%m-%d}"
        return f"{day}:{sha256(address.encode()).hexdigest()[:32]}" if address else day

    @classmethod
    def take(cls, key: str, limit: int) -> bool:
        """Count one more; return False, and count nothing, if that exceeds the limit."""
        if limit < 1:
            return False
        if cls._count(key, limit):
            return True
        try:
            collection("quotas").insert_one({"_id": key, "count": 1, "purge_at": purge_at()})
        except DuplicateKeyError:
            # Used up, or created by another process just now.
            return cls._count(key, limit)
        return True

    @classmethod
    def give_back(cls, key: str) -> None:
        """Count one less, because the counted action did not happen."""
        collection("quotas").update_one({"_id": key, "count": {"$gt": 0}}, {"$inc": {"count": -1}})

    @classmethod
    def _count(cls, key: str, limit: int) -> bool:
        query = {"_id": key, "count": {"$lt": limit}}
        return collection("quotas").update_one(query, {"$inc": {"count": 1}}).matched_count == 1
