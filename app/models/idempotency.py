"""The results of requests with an idempotency key, so that a retry gets the same response.

A result is written in the transaction of its request. So a request whose response was lost, by a
broken connection or a crash, either did nothing or has its result here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.database import Document, collection
from app.domain.errors import IdempotencyKeyReused


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A user's key for one request; `fingerprint` is a hash of that request."""

    user_id: str
    key: str
    fingerprint: str

    @property
    def document_id(self) -> Document:
        return {"user_id": self.user_id, "key": self.key}


class IdempotencyRecord:
    @classmethod
    def find(cls, key: IdempotencyKey) -> Document | None:
        """Return the result of an earlier try of this request, None if there was none.

        Raises IdempotencyKeyReused if the key belongs to another request.
        """
        document = collection("answers").find_one({"_id": key.document_id})
        if document is None:
            return None
        if document["fingerprint"] != key.fingerprint:
            raise IdempotencyKeyReused
        result: Document = document["result"]
        return result

    @classmethod
    def save(cls, key: IdempotencyKey, result: Mapping[str, Any], now: datetime) -> None:
        """Store a result; DuplicateKeyError if the key has one already."""
        collection("answers").insert_one(
            {
                "_id": key.document_id,
                "fingerprint": key.fingerprint,
                "result": result,
                "created_at": now,
            }
        )

    @classmethod
    def add(
        cls,
        key: IdempotencyKey,
        amounts: Mapping[str, Any],
        lists: Mapping[str, Sequence[Any]],
    ) -> None:
        """Add to the numbers and the lists of a result that is written in several steps."""
        changes: Document = {
            "$inc": {f"result.{name}": amount for name, amount in amounts.items()},
            "$push": {f"result.{name}": {"$each": list(items)} for name, items in lists.items()},
        }
        collection("answers").update_one({"_id": key.document_id}, changes)

    @classmethod
    def finish(cls, key: IdempotencyKey, fields: Mapping[str, Any]) -> None:
        """Mark such a result as done, and set `fields`, once."""
        changes = {f"result.{name}": value for name, value in {**fields, "done": True}.items()}
        collection("answers").update_one(
            {"_id": key.document_id, "result.done": False}, {"$set": changes}
        )
