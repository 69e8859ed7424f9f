"""Answers: what a request with an idempotency key was answered, so that a retry is told the same.

An answer is written in the transaction of what it tells of. So a request whose answer was lost,
by a broken connection or a crash, was either not done at all or has its answer here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.database import Document, collection
from app.domain.errors import Conflict


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A user's key for one request; `fingerprint` tells that request from any other."""

    user_id: str
    key: str
    fingerprint: str

    @property
    def document_id(self) -> Document:
        return {"user_id": self.user_id, "key": self.key}


class IdempotencyRecord:
    @classmethod
    def find(cls, key: IdempotencyKey) -> Document | None:
        """Return what was answered to this request before, None where nothing was.

        Raises Conflict where the key was used for another request.
        """
        document = collection("answers").find_one({"_id": key.document_id})
        if document is None:
            return None
        if document["fingerprint"] != key.fingerprint:
            raise Conflict(
                "This Idempotency-Key was used for another request. Use a new one.",
                code="idempotency_key_reused",
            )
        result: Document = document["result"]
        return result

    @classmethod
    def save(
        cls,
        key: IdempotencyKey,
        result: Mapping[str, Any],
        now: datetime,
    ) -> None:
        """Keep an answer; DuplicateKeyError where the same request has one already."""
        collection("answers").insert_one(
            {
                "_id": key.document_id,
                "fingerprint": key.fingerprint,
                "result": result,
                "created_at": now,
            },
        )

    @classmethod
    def add(cls, key: IdempotencyKey, amounts: Mapping[str, Any]) -> None:
        """Add to the numbers of an answer that is given in several steps."""
        increments = {f"result.{name}": amount for name, amount in amounts.items()}
        collection("answers").update_one({"_id": key.document_id}, {"$inc": increments})

    @classmethod
    def finish(cls, key: IdempotencyKey, fields: Mapping[str, Any]) -> None:
        """Mark the last step of such an answer as done, and add `fields`; once only."""
        changes = {f"result.{name}": value for name, value in {**fields, "done": True}.items()}
        collection("answers").update_one(
            {"_id": key.document_id, "result.done": False}, {"$set": changes}
        )
