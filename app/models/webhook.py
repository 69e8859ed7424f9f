"""Webhooks: addresses that receive a user's events, in their order.

The events themselves are the notifications. A webhook has a cursor into them, the `seq` of the
last event it is done with, so an endpoint that is down for hours costs nothing but its own delay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, ReturnDocument

from app.database import Document, collection
from app.database.batches import batched
from app.database.hints import use_index
from app.models.bulk import IN_CLAUSE_SIZE, by_owner
from app.models.inbox import EventType

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
# Wakes that one pass takes.
MAX_WAKES = 1_000


@dataclass(frozen=True, slots=True)
class Webhook:
    """One endpoint of a user; `events` is None for every type.

    `cursor` is the seq of the last event that was delivered or not wanted. `failures` counts the
    failed attempts since the last success, the first of them at `failing_since`. `pending_id` is
    the delivery of the event that is being retried. `due_at` is None while there is nothing to
    deliver, or the webhook is disabled. `wakes` counts how often new events were announced.
    """

    id: ObjectId
    user_id: str
    url: str
    description: str
    events: frozenset[EventType] | None
    enabled: bool
    created_at: datetime
    cursor: int
    secret_version: int = 1
    rotated_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    pending_id: ObjectId | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    delivery_count: int = 0
    wakes: int = 0
    due_at: datetime | None = None
    claim: ObjectId | None = None

    @classmethod
    def from_document(cls, document: Document) -> Webhook:
        names = document["events"]
        events = None if names is None else frozenset(EventType(name) for name in names)
        fields: dict[str, Any] = {name: document.get(name) for name in _FIELDS}
        return cls(id=document["_id"], **{**fields, "events": events})

    def wants(self, event: str) -> bool:
        """Return whether an event of this name is to be delivered."""
        return self.events is None or EventType.of(event) in self.events

    @property
    def event_names(self) -> list[str] | None:
        """The chosen types in their order of declaration; None for every type."""
        if self.events is None:
            return None
        return [event.value for event in EventType if event in self.events]

    @classmethod
    def create(
        cls,
        *,
        user_id: str,
        url: str,
        description: str,
        events: frozenset[EventType] | None,
        created_at: datetime,
        cursor: int,
    ) -> Webhook:
        """Insert an enabled webhook for the events after `cursor`."""
        webhook = cls(ObjectId(), user_id, url, description, events, True, created_at, cursor)
        document = {name: getattr(webhook, name) for name in _FIELDS}
        collection("webhooks").insert_one(
            {"_id": webhook.id, **document, "events": webhook.event_names}
        )
        return webhook

    @classmethod
    def find(cls, webhook_id: ObjectId, user_id: str) -> Webhook | None:
        document = collection("webhooks").find_one({"_id": webhook_id, "user_id": user_id})
        return cls.from_document(document) if document else None

    @classmethod
    def find_by_user_id(cls, user_id: str) -> list[Webhook]:
        """Return the user's webhooks, newest first."""
        found = map(cls.from_document, collection("webhooks").find({"user_id": user_id}))
        return sorted(found, key=lambda webhook: webhook.id, reverse=True)

    @classmethod
    def update(cls, webhook: Webhook, changes: Mapping[str, Any]) -> Webhook | None:
        """Store changes of its user; return the webhook, None if it is gone.

        A worker that is delivering loses its claim, so that it cannot overwrite them.
        """
        return webhook._change({}, {**changes, "claim": None})

    @classmethod
    def count_delivery(cls, webhook: Webhook) -> int | None:
        """Return the number of the next delivery; None if the webhook is gone."""
        document = collection("webhooks").find_one_and_update(
            {"_id": webhook.id, "user_id": webhook.user_id},
            {"$inc": {"delivery_count": 1}},
            return_document=ReturnDocument.AFTER,
        )
        return int(document["delivery_count"]) if document else None

    @classmethod
    def delete(cls, webhook_id: ObjectId, user_id: str) -> bool:
        """Delete a webhook; return whether the user had it."""
        result = collection("webhooks").delete_one({"_id": webhook_id, "user_id": user_id})
        return result.deleted_count == 1

    @classmethod
    def mark_due(cls, user_ids: Collection[str], now: datetime) -> None:
        """Announce new events of these users to their webhooks.

        A webhook that waits for its next attempt keeps waiting.
        """
        webhooks = collection("webhooks")
        for batch in batched(sorted(user_ids), IN_CLAUSE_SIZE):
            query: Document = {"user_id": {"$in": list(batch)}, "enabled": True}
            # Counted first: a worker that finds nothing more sees that it must look again.
            webhooks.update_many(query, {"$inc": {"wakes": 1}}, **use_index("user_id"))
            idle: Document = {**query, "due_at": None}
            webhooks.update_many(idle, {"$set": {"due_at": now}}, **use_index("user_id"))

    @classmethod
    def find_due(cls, now: datetime, limit: int) -> list[Webhook]:
        """Return up to `limit` webhooks that are due, the longest due first."""
        query: Document = {"due_at": {"$lte": now}}
        found = collection("webhooks").find(query).sort("due_at", ASCENDING).limit(limit)
        return [cls.from_document(document) for document in found]

    @classmethod
    def backlog(cls, now: datetime) -> tuple[int, timedelta]:
        """Return how many webhooks are due, and how late the first of them is."""
        count = collection("webhooks").count_documents({"due_at": {"$lte": now}})
        first = cls.next_due() if count else None
        return count, max(now - first, timedelta(0)) if first else timedelta(0)

    @classmethod
    def next_due(cls) -> datetime | None:
        """Return when the next webhook is due, None if none has anything to deliver."""
        document = collection("webhooks").find_one(
            {"due_at": {"$gt": LONG_AGO}}, {"due_at": 1}, sort=[("due_at", ASCENDING)]
        )
        return document["due_at"] if document else None

    def claimed(self, now: datetime, lease: timedelta) -> Webhook | None:
        """Claim a due webhook for `lease`, in a transaction; None if another worker was faster."""
        changes = {"claim": ObjectId(), "due_at": now + lease}
        return self._change({"due_at": {"$lte": now}}, changes)

    def progressed(self, changes: Mapping[str, Any]) -> Webhook | None:
        """Store the progress of a claimed webhook; return it, None if the claim was lost."""
        return self._change({"claim": self.claim}, changes)

    def released(self, due_at: datetime | None, now: datetime) -> None:
        """End a claim, in a transaction: due again at `due_at`, None for at a new event.

        It is due at once if an event was announced after the claim.
        """
        ends = {"claim": None, "due_at": due_at, "cursor": self.cursor}
        if due_at is None and self._change({"claim": self.claim, "wakes": self.wakes}, ends):
            return
        self._change({"claim": self.claim}, {**ends, "due_at": due_at or now})

    def _change(self, state: Document, changes: Mapping[str, Any]) -> Webhook | None:
        document = collection("webhooks").find_one_and_update(
            {"_id": self.id, "user_id": self.user_id, **state},
            {"$set": dict(changes)},
            return_document=ReturnDocument.AFTER,
        )
        return self.from_document(document) if document else None

    def at(self, cursor: int) -> Webhook:
        """Return the webhook with another cursor, which is not stored yet."""
        return replace(self, cursor=cursor)


class WebhookWake:
    """Notes, written with an event, that a user's webhooks have something to deliver.

    They are only inserted, so they conflict with nothing.
    """

    @classmethod
    def exists(cls) -> bool:
        """Return whether there are notes."""
        return collection("webhook_wakes").find_one({}, {"_id": 1}) is not None

    @classmethod
    def create(cls, user_ids: Collection[str]) -> None:
        documents: list[Document] = [{"_id": ObjectId(), "user_id": each} for each in user_ids]
        collection("webhook_wakes").insert_many(documents, ordered=False)

    @classmethod
    def take(cls, now: datetime) -> int:
        """Mark the webhooks of all notes as due, in a transaction; return how many notes it had."""
        wakes = collection("webhook_wakes")
        owners = {each["_id"]: each["user_id"] for each in wakes.find().limit(MAX_WAKES)}
        if owners:
            Webhook.mark_due(set(owners.values()), now)
            for batch in batched(list(owners.items()), IN_CLAUSE_SIZE):
                wakes.delete_many(by_owner(dict(batch)), **use_index("_id"))
        return len(owners)


_FIELDS = tuple(name for name in Webhook.__dataclass_fields__ if name != "id")
