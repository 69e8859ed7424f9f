"""Inboxes: each user's count of events, and their preferences for email and SMS.

The `_id` is the user's client_id. Preferences choose the channels and the types of event; every
event is stored, and sent to sockets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pymongo import ReturnDocument, UpdateOne

from app.database import Document, collection
from app.database.batches import batched
from app.models.bulk import IN_CLAUSE_SIZE


class EventType(StrEnum):
    """The types of event a user can choose; CUSTOM is every event of another name."""

    TRADE_CREATED = "trade_created"
    TRADE_FILLED = "trade_filled"
    TRADE_TRIGGERED = "trade_triggered"
    TRADE_MODIFIED = "trade_modified"
    TRADE_ADJUSTED = "trade_adjusted"
    TRADE_CANCELLED = "trade_cancelled"
    TRADE_EXPIRED = "trade_expired"
    TRADE_REJECTED = "trade_rejected"
    TRADE_PARTIALLY_EXITED = "trade_partially_exited"
    TRADE_EXITED = "trade_exited"
    TRADE_AUTO_CLOSED = "trade_auto_closed"
    PRICE_ALERT = "price_alert"
    FUNDS_DEPOSITED = "funds_deposited"
    FUNDS_WITHDRAWN = "funds_withdrawn"
    PORTFOLIO_RESET = "portfolio_reset"
    CUSTOM = "custom"

    @classmethod
    def of(cls, name: str) -> EventType:
        """Return the type of an event of this name."""
        try:
            return cls(name)
        except ValueError:
            return cls.CUSTOM


@dataclass(frozen=True, slots=True)
class Preferences:
    """By default everything is on. `events` is None for every type, also of later releases."""

    email: bool = True
    sms: bool = True
    events: frozenset[EventType] | None = None

    @classmethod
    def choose(cls, *, email: bool, sms: bool, events: Iterable[EventType] | None) -> Preferences:
        """Return preferences; a choice of all types counts as every type."""
        chosen = None if events is None else frozenset(events)
        return cls(email, sms, None if chosen == frozenset(EventType) else chosen)

    @classmethod
    def from_document(cls, document: Document) -> Preferences:
        names = document["events"]
        events = None if names is None else frozenset(EventType.of(name) for name in names)
        return cls(document["email"], document["sms"], events)

    def to_document(self) -> dict[str, Any]:
        events = None if self.events is None else [type.value for type in self.event_types]
        return {"email": self.email, "sms": self.sms, "events": events}

    @property
    def event_types(self) -> list[EventType]:
        """The chosen types, in their order of declaration."""
        return [type for type in EventType if self.events is None or type in self.events]

    def allow(self, channel: str, event: str) -> bool:
        """Return whether an event of this name may be sent by this channel."""
        switches = {"email": self.email, "sms": self.sms}
        wanted = self.events is None or EventType.of(event) in self.events
        # A channel without a switch depends on the types only.
        return wanted and switches.get(channel, True)


# SecantusDB: rewrites every index entry of a document with each update, so what changes with each
# event is kept apart from the user, who has two more indexes. MongoDB would take the user.
@dataclass(frozen=True, slots=True)
class Inbox:
    """`event_seq` is the `seq` of the user's last event."""

    user_id: str
    event_seq: int = 0
    unread_count: int = 0
    preferences: Preferences = field(default_factory=Preferences)
    # The enabled webhooks of the user.
    webhooks: int = 0

    @classmethod
    def from_document(cls, document: Document) -> Inbox:
        # Absent until the user sets them.
        saved = document.get("preferences")
        return cls(
            user_id=document["_id"],
            event_seq=document["event_seq"],
            unread_count=document["unread_count"],
            preferences=Preferences.from_document(saved) if saved else Preferences(),
            webhooks=document.get("webhooks", 0),
        )

    @classmethod
    def create(cls, user_id: str) -> Inbox:
        """Insert an empty inbox; DuplicateKeyError if the user has one."""
        document: Document = {"_id": user_id, "event_seq": 0, "unread_count": 0}
        collection("inboxes").insert_one(document)
        return cls.from_document(document)

    @classmethod
    def find(cls, user_id: str) -> Inbox | None:
        document = collection("inboxes").find_one({"_id": user_id})
        return cls.from_document(document) if document else None

    @classmethod
    def find_many(cls, user_ids: Collection[str]) -> dict[str, Inbox]:
        """Return the inboxes of the users by client_id; missing ones are left out."""
        return {
            document["_id"]: cls.from_document(document)
            for batch in batched(list(user_ids), IN_CLAUSE_SIZE)
            for document in collection("inboxes").find({"_id": {"$in": batch}})
        }

    @classmethod
    def all_user_ids(cls) -> list[str]:
        """Return the client_id of every user."""
        return [document["_id"] for document in collection("inboxes").find({}, {"_id": 1})]

    @classmethod
    def save_preferences(cls, user_id: str, preferences: Preferences) -> bool:
        """Replace the user's preferences; return whether the user exists."""
        result = collection("inboxes").update_one(
            {"_id": user_id}, {"$set": {"preferences": preferences.to_document()}}
        )
        return result.matched_count == 1

    @classmethod
    def save_webhooks(cls, user_id: str, count: int) -> None:
        """Store how many enabled webhooks the user has.

        Events write the same document, so a webhook misses no event and gets none twice.
        """
        collection("inboxes").update_one({"_id": user_id}, {"$set": {"webhooks": count}})

    @classmethod
    def count_events(cls, events: Mapping[str, int]) -> dict[str, Inbox]:
        """Add to each user's count of events; return their updated inboxes.

        An event takes the new count as its `seq`. The documents stay locked by the transaction, so
        no two events share a number, and a rollback leaves no gap. A client_id without a user is
        left out.
        """
        inboxes = collection("inboxes")
        if len(events) == 1:
            ((user_id, count),) = events.items()
            document = inboxes.find_one_and_update(
                {"_id": user_id}, _counting(count), return_document=ReturnDocument.AFTER
            )
            return {user_id: cls.from_document(document)} if document else {}
        inboxes.bulk_write(
            [UpdateOne({"_id": user_id}, _counting(count)) for user_id, count in events.items()],
            ordered=False,
        )
        return cls.find_many(events)

    @classmethod
    def count_read(cls, user_id: str, count: int = 1) -> None:
        """Subtract from the user's count of unread notifications."""
        collection("inboxes").update_one({"_id": user_id}, {"$inc": {"unread_count": -count}})

    @classmethod
    def correct_event_seq(cls, user_id: str, seq: int) -> None:
        """Set the count of events to a recomputed value."""
        collection("inboxes").update_one({"_id": user_id}, {"$set": {"event_seq": seq}})


def _counting(count: int) -> Document:
    return {"$inc": {"event_seq": count, "unread_count": count}}
