"""Notifications: a user's events in order, and how each was delivered.

One document is three things at once: what the user reads, what the outbox still has to send by
email and SMS, and what a socket that was away is told when it comes back. It is written in the
transaction of what it tells of, so no crash can lose one or invent one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from app.database import Document, collection
from app.domain.errors import Unauthenticated
from app.models.paging import newest_first
from app.models.user import User

CHANNELS = ("email", "sms")
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event before it has its number: whose, of which type, in words and as data."""

    user_id: str
    type: str
    message: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notification:
    id: ObjectId
    user_id: str
    seq: int
    type: str
    message: str
    data: dict[str, Any]
    is_read: bool
    created_at: datetime
    deliveries: list[dict[str, Any]]

    @classmethod
    def from_document(cls, document: Document) -> Notification:
        return cls(id=document["_id"], **{key: document[key] for key in _FIELDS})

    @classmethod
    def create(
        cls, drafts: Sequence[EventDraft], now: datetime, session: ClientSession
    ) -> list[Notification]:
        """Number and insert events, to be delivered from now on.

        Raises Unauthenticated where a user is gone.
        """
        if not drafts:
            return []
        counts = Counter(draft.user_id for draft in drafts)
        last = User.count_events(counts, session)
        if len(last) < len(counts):
            raise Unauthenticated("This account no longer exists.", code="account_gone")
        following = {user_id: last[user_id] - counts[user_id] for user_id in counts}
        documents = []
        for draft in drafts:
            following[draft.user_id] += 1
            documents.append(_document(draft, following[draft.user_id], now))
        collection("notifications").insert_many(documents, ordered=False, session=session)
        return [cls.from_document(document) for document in documents]

    @classmethod
    def find_by_user_id(
        cls, user_id: str, *, below: int, limit: int, unread: bool | None = None
    ) -> list[Notification]:
        """Return the user's notifications with a seq under `below`, newest first."""
        query: Document = {"user_id": user_id}
        if unread is not None:
            query["is_read"] = not unread
        documents = newest_first("notifications", query, "seq", below=below, limit=limit)
        return [cls.from_document(document) for document in documents]

    @classmethod
    def find_after(cls, user_id: str, seq: int, up_to: int) -> list[Notification]:
        """Return the user's notifications from seq + 1 to `up_to`, in order."""
        found = collection("notifications").find(
            {"user_id": user_id, "seq": {"$gt": seq, "$lte": up_to}}
        )
        return sorted(
            (cls.from_document(document) for document in found), key=lambda each: each.seq
        )

    @classmethod
    def last_seq(cls, user_id: str, session: ClientSession) -> int:
        """Return the highest seq of the user's notifications, 0 where there are none."""
        found = collection("notifications").find({"user_id": user_id}, {"seq": 1}, session=session)
        return max((int(each["seq"]) for each in found), default=0)

    @classmethod
    def mark_read(
        cls, notification_id: ObjectId, user_id: str, session: ClientSession
    ) -> bool | None:
        """Mark as read; return whether it was unread, None where the user has no such one."""
        query = {"_id": notification_id, "user_id": user_id}
        before = collection("notifications").find_one_and_update(
            query, {"$set": {"is_read": True}}, projection={"is_read": 1}, session=session
        )
        return None if before is None else not before["is_read"]

    @classmethod
    def claim_due(cls, now: datetime, lease: timedelta, limit: int) -> list[Notification]:
        """Take the `limit` longest due notifications, and with them all that their users are due.

        By user and in order, so that one message can tell a user of a whole burst.
        Whoever takes one has it for `lease`; should they die, it is due again after that.
        """
        notifications = collection("notifications")
        due = list(
            notifications.find({"deliver_at": {"$lte": now}}, {"user_id": 1}).sort("deliver_at", 1)
        )
        users = {each["user_id"] for each in due[:limit]}
        ids = {"_id": {"$in": [each["_id"] for each in due if each["user_id"] in users]}}
        # The claim's own mark tells what this worker took from what another took meanwhile.
        claim = ObjectId()
        taken = notifications.update_many(
            {**ids, "deliver_at": {"$lte": now}},
            {"$set": {"deliver_at": now + lease, "claim": claim}},
        )
        if not taken.modified_count:
            return []
        found = notifications.find({**ids, "claim": claim})
        return sorted(
            (cls.from_document(document) for document in found),
            key=lambda each: (each.user_id, each.seq),
        )

    @classmethod
    def next_due(cls) -> datetime | None:
        """Return when the next notification is due for delivery, None where none waits."""
        document = (
            collection("notifications")
            .find({"deliver_at": {"$gt": LONG_AGO}}, {"deliver_at": 1})
            .sort("deliver_at", 1)
            .limit(1)
        )
        return next((each["deliver_at"] for each in document), None)

    @classmethod
    def record_deliveries(
        cls, outcomes: Sequence[tuple[Notification, list[dict[str, Any]], datetime | None]]
    ) -> None:
        """Write how each delivery went, and when to try again; None for never."""
        collection("notifications").bulk_write(
            [
                UpdateOne({"_id": each.id}, _delivered(deliveries, deliver_at))
                for each, deliveries, deliver_at in outcomes
            ],
            ordered=False,
        )


_FIELDS = tuple(name for name in Notification.__dataclass_fields__ if name != "id")


def _document(draft: EventDraft, seq: int, now: datetime) -> Document:
    return {
        "user_id": draft.user_id,
        "seq": seq,
        "type": draft.type,
        "message": draft.message,
        "data": draft.data,
        "is_read": False,
        "created_at": now,
        "deliveries": [
            {"channel": channel, "status": "pending", "attempts": 0} for channel in CHANNELS
        ],
        "deliver_at": now,
    }


def _delivered(deliveries: list[dict[str, Any]], deliver_at: datetime | None) -> Document:
    if deliver_at is None:
        return {"$set": {"deliveries": deliveries}, "$unset": {"deliver_at": "", "claim": ""}}
    return {"$set": {"deliveries": deliveries, "deliver_at": deliver_at}}
