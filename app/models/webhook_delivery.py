"""Deliveries of webhooks: the log of what was sent to an endpoint, and what it answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from bson import ObjectId

from app.database import Document, collection
from app.database.hints import use_index
from app.models.paging import newest_first

KEPT = timedelta(days=30)
BY_NUMBER = ("user_id", "webhook_id", "number")
# Attempts that the log has of one delivery: the last ones.
MAX_ATTEMPTS_LOGGED = 20


class DeliveryOrigin(StrEnum):
    """Why a message was sent: an event, the user's wish to see one again, or a test."""

    EVENT = "event"
    REPLAY = "replay"
    TEST = "test"


class DeliveryStatus(StrEnum):
    """`pending` is retried; `failed` is not."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One request to an endpoint: its status code, or why there was none."""

    at: datetime
    duration_ms: int
    status_code: int | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One message to one endpoint; `number` counts those of the webhook. A test has no `seq`."""

    id: ObjectId
    webhook_id: ObjectId
    user_id: str
    number: int
    origin: DeliveryOrigin
    event: str
    seq: int | None
    status: DeliveryStatus
    created_at: datetime
    attempt_count: int
    attempts: list[DeliveryAttempt]

    @classmethod
    def from_document(cls, document: Document) -> WebhookDelivery:
        attempts = [DeliveryAttempt(**attempt) for attempt in document["attempts"]]
        fields: dict[str, Any] = {name: document.get(name) for name in _FIELDS}
        return cls(id=document["_id"], **{**fields, "attempts": attempts})

    @classmethod
    def create(
        cls,
        *,
        webhook_id: ObjectId,
        user_id: str,
        number: int,
        origin: DeliveryOrigin,
        event: str,
        seq: int | None,
        status: DeliveryStatus,
        attempt: DeliveryAttempt,
    ) -> WebhookDelivery:
        """Insert a delivery with its first attempt. The database deletes it after 30 days."""
        delivery = cls(
            id=ObjectId(),
            webhook_id=webhook_id,
            user_id=user_id,
            number=number,
            origin=origin,
            event=event,
            seq=seq,
            status=status,
            created_at=attempt.at,
            attempt_count=1,
            attempts=[attempt],
        )
        document = {name: getattr(delivery, name) for name in _FIELDS}
        document |= {"attempts": [asdict(attempt)], "purge_at": datetime.now(UTC) + KEPT}
        collection("webhook_deliveries").insert_one({"_id": delivery.id, **document})
        return delivery

    @classmethod
    def add_attempt(
        cls, delivery_id: ObjectId, user_id: str, attempt: DeliveryAttempt, status: DeliveryStatus
    ) -> None:
        """Note a further attempt; ignored if the log no longer has the delivery."""
        query = {"_id": delivery_id, "user_id": user_id}
        document = collection("webhook_deliveries").find_one(query)
        if document is None:
            return
        attempts = [*document["attempts"], asdict(attempt)][-MAX_ATTEMPTS_LOGGED:]
        changes: Mapping[str, Any] = {"status": status, "attempts": attempts}
        collection("webhook_deliveries").update_one(
            query, {"$set": changes, "$inc": {"attempt_count": 1}}
        )

    @classmethod
    def give_up(cls, delivery_id: ObjectId, user_id: str) -> None:
        """Mark a delivery that is not retried any more as failed."""
        query = {"_id": delivery_id, "user_id": user_id, "status": DeliveryStatus.PENDING}
        changes = {"status": DeliveryStatus.FAILED}
        collection("webhook_deliveries").update_one(query, {"$set": changes})

    @classmethod
    def find(
        cls, delivery_id: ObjectId, webhook_id: ObjectId, user_id: str
    ) -> WebhookDelivery | None:
        query = {"_id": delivery_id, "webhook_id": webhook_id, "user_id": user_id}
        document = collection("webhook_deliveries").find_one(query)
        return cls.from_document(document) if document else None

    @classmethod
    def find_by_webhook_id(
        cls,
        webhook_id: ObjectId,
        user_id: str,
        *,
        below: int,
        limit: int,
        status: DeliveryStatus | None = None,
    ) -> list[WebhookDelivery]:
        """Return deliveries with a number under `below`, newest first."""
        query = {"user_id": user_id, "webhook_id": webhook_id, "status": status}
        found = newest_first("webhook_deliveries", query, BY_NUMBER, below=below, limit=limit)
        return [cls.from_document(document) for document in found]

    @classmethod
    def delete_all(cls, webhook_id: ObjectId, user_id: str) -> None:
        """Delete the log of a webhook."""
        query = {"webhook_id": webhook_id, "user_id": user_id}
        collection("webhook_deliveries").delete_many(query, **use_index(*BY_NUMBER))


_FIELDS = tuple(name for name in WebhookDelivery.__dataclass_fields__ if name != "id")
