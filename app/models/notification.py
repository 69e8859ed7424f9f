"""Notifications: a user's events in order, and how each was delivered.

One document serves three purposes: the user reads it, the outbox sends it by email and SMS, and a
socket that reconnects is sent it again. It is written in the transaction that causes it, so no
crash can lose or invent one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pymongo
from bson import ObjectId
from pymongo import ASCENDING, UpdateMany, UpdateOne

from app.database import Document, collection
from app.database.batches import batched
from app.database.hints import use_index
from app.domain.errors import AccountGone
from app.models.bulk import IN_CLAUSE_SIZE, by_owner, value_by_id
from app.models.inbox import Inbox, Preferences
from app.models.paging import last_number, newest_first
from app.models.webhook import WebhookWake

CHANNELS = ("email", "sms")
BY_SEQ = ("user_id", "is_read", "seq")
# Ids that one listing of due notifications has at most: a backlog may have millions.
MAX_DUE = 10_000
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
# The outbox may list a long backlog or record a long digest. No request waits for it, and a record
# cut short would send a message twice.
OUTBOX_SECONDS = 60


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event without its number; `message` is for people, `data` for programs."""

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

    @property
    def is_to_be_sent(self) -> bool:
        """Whether a delivery is still pending."""
        return any(delivery["status"] == "pending" for delivery in self.deliveries)

    @classmethod
    def from_document(cls, document: Document) -> Notification:
        return cls(id=document["_id"], **{key: document[key] for key in _FIELDS})

    @classmethod
    def create(
        cls, drafts: Sequence[EventDraft], now: datetime, *, sends: bool = True
    ) -> list[Notification]:
        """Number and insert events, to be delivered from now on.

        If no channel `sends`, their deliveries are recorded immediately, which saves the outbox
        two updates of each. Raises AccountGone if a user is deleted.
        """
        if not drafts:
            return []
        counts = Counter([draft.user_id for draft in drafts])
        counted = Inbox.count_events(counts)
        if len(counted) < len(counts):
            raise AccountGone
        numbers = {
            user_id: count(counted[user_id].event_seq - counts[user_id] + 1) for user_id in counts
        }
        events = [
            cls(
                id=ObjectId(),
                user_id=draft.user_id,
                seq=next(numbers[draft.user_id]),
                type=draft.type,
                message=draft.message,
                data=draft.data,
                is_read=False,
                created_at=now,
                deliveries=_deliveries(draft.type, counted[draft.user_id].preferences, now, sends),
            )
            for draft in drafts
        ]
        due = {"deliver_at": now} if sends else {}
        documents = [
            {"_id": event.id, **{name: getattr(event, name) for name in _FIELDS}, **due}
            for event in events
        ]
        collection("notifications").insert_many(documents, ordered=False)
        if woken := [user_id for user_id, inbox in counted.items() if inbox.webhooks]:
            WebhookWake.create(woken)
        return events

    @classmethod
    def are_written(cls, events: Sequence[Notification]) -> bool:
        """Return whether events, all of one transaction, are in the database."""
        query = {"_id": events[0].id, "user_id": events[0].user_id}
        hint = use_index("_id")
        return collection("notifications").find_one(query, {"_id": 1}, **hint) is not None

    @classmethod
    def find_by_user_id(
        cls, user_id: str, *, below: int, limit: int, unread: bool | None = None
    ) -> list[Notification]:
        """Return the user's notifications with a seq under `below`, newest first."""
        query = {"user_id": user_id, "is_read": None if unread is None else not unread}
        documents = newest_first("notifications", query, BY_SEQ, below=below, limit=limit)
        return [cls.from_document(document) for document in documents]

    @classmethod
    def find_after(cls, user_id: str, seq: int, up_to: int) -> list[Notification]:
        """Return the user's notifications from seq + 1 to `up_to`, in order."""
        query = {"user_id": user_id, "seq": {"$gt": seq, "$lte": up_to}}
        found = collection("notifications").find(query, **use_index("user_id", "seq"))
        return sorted(map(cls.from_document, found), key=lambda event: event.seq)

    @classmethod
    def last_seq(cls, user_id: str, recorded: int) -> int:
        """Return the highest seq of the user's notifications, 0 if there are none.

        `recorded` is that of the inbox, which may be wrong.
        """
        return last_number("notifications", {"user_id": user_id}, BY_SEQ, recorded)

    @classmethod
    def mark_read(cls, notification_id: ObjectId, user_id: str) -> bool | None:
        """Mark as read; return whether it was unread, None if the user has no such notification."""
        query = {"_id": notification_id, "user_id": user_id}
        result = collection("notifications").update_one(query, {"$set": {"is_read": True}})
        return bool(result.modified_count) if result.matched_count else None

    @classmethod
    def mark_all_read(cls, user_id: str, up_to: int, limit: int) -> int:
        """Mark up to `limit` unread ones with a seq up to `up_to` as read, the newest first.

        Returns how many.
        """
        unread = {"user_id": user_id, "is_read": False}
        found = newest_first("notifications", unread, BY_SEQ, below=up_to + 1, limit=limit)
        if not found:
            return 0
        query = {**unread, "seq": {"$gte": found[-1]["seq"], "$lte": found[0]["seq"]}}
        update = {"$set": {"is_read": True}}
        notifications = collection("notifications")
        return notifications.update_many(query, update, **use_index(*BY_SEQ)).modified_count

    @classmethod
    def is_younger(cls, user_id: str, seq: int, than: datetime) -> bool:
        """Return whether a notification exists and is not older than a time."""
        query = {"user_id": user_id, "seq": seq}
        hint = use_index("user_id", "seq")
        document = collection("notifications").find_one(query, {"created_at": 1}, **hint)
        return document is not None and document["created_at"] >= than

    @classmethod
    def purge(cls, user_id: str, low: int, high: int, until: datetime, *, apply: bool) -> int:
        """Delete the read notifications from before `until`, with a seq from `low` to below `high`.

        Those still to be delivered stay. Returns how many it deletes; without `apply` it only
        counts them.
        """
        query = {
            "user_id": user_id,
            "is_read": True,
            "seq": {"$gte": low, "$lt": high},
            "created_at": {"$lt": until},
            "deliver_at": None,
        }
        hint = use_index(*BY_SEQ)
        if apply:
            return collection("notifications").delete_many(query, **hint).deleted_count
        return collection("notifications").count_documents(query, **hint)

    @classmethod
    def find_due(cls, now: datetime, limit: int = MAX_DUE) -> list[tuple[str, list[ObjectId]]]:
        """Return the ids of the `limit` longest due notifications, by user.

        Call it once, then claim from its result batch by batch.
        """
        # SecantusDB: reads every match before it limits. MongoDB would find each batch by the
        # index on `deliver_at`.
        with pymongo.timeout(OUTBOX_SECONDS):
            due = list(
                collection("notifications")
                .find({"deliver_at": {"$lte": now}}, {"user_id": 1})
                .sort("deliver_at", ASCENDING)
                .limit(limit)
            )
        by_user: dict[str, list[ObjectId]] = defaultdict(list)
        for document in due:
            by_user[document["user_id"]].append(document["_id"])
        return list(by_user.items())

    @classmethod
    def claim(cls, owners: Mapping[ObjectId, str], now: datetime, lease: timedelta) -> Claim:
        """Claim those of the notifications that are still due, by user and in order.

        `owners` are the users of the notifications, by id.
        A claim lasts for `lease`; if its worker dies, the notification is due again after that.
        """
        notifications = collection("notifications")
        # The mark distinguishes this claim from that of another worker.
        mark = ObjectId()
        taken = notifications.update_many(
            {**by_owner(owners), "deliver_at": {"$lte": now}},
            {"$set": {"deliver_at": now + lease, "claim": mark}},
            **use_index("_id"),
        )
        if not taken.modified_count:
            return Claim(mark, [])
        found = notifications.find({**by_owner(owners), "claim": mark}, **use_index("_id"))
        in_order = sorted(
            (cls.from_document(document) for document in found),
            key=lambda event: (event.user_id, event.seq),
        )
        return Claim(mark, in_order)

    @classmethod
    def extend(
        cls, mark: ObjectId, owners: Mapping[ObjectId, str], until: datetime
    ) -> set[ObjectId]:
        """Extend a claim until `until`; return the ids that no other worker has claimed since."""
        notifications = collection("notifications")
        ours, hint = {**by_owner(owners), "claim": mark}, use_index("_id")
        notifications.update_many(ours, {"$set": {"deliver_at": until}}, **hint)
        return {document["_id"] for document in notifications.find(ours, {"_id": 1}, **hint)}

    @classmethod
    def backlog(cls, now: datetime) -> tuple[int, timedelta]:
        """Return how many notifications are due, MAX_DUE at most, and how late the first is."""
        notifications = collection("notifications")
        due = {"deliver_at": {"$gt": LONG_AGO, "$lte": now}}
        first = notifications.find_one(due, {"deliver_at": 1}, sort=[("deliver_at", ASCENDING)])
        if first is None:
            return 0, timedelta()
        return notifications.count_documents(due, limit=MAX_DUE), now - first["deliver_at"]

    @classmethod
    def next_due(cls, by: datetime) -> datetime | None:
        """Return when the next notification is due, None if none is due by `by`."""
        document = collection("notifications").find_one(
            {"deliver_at": {"$gt": LONG_AGO, "$lte": by}},
            {"deliver_at": 1},
            sort=[("deliver_at", ASCENDING)],
        )
        return document["deliver_at"] if document else None

    @classmethod
    def record_deliveries(
        cls,
        mark: ObjectId,
        outcomes: Sequence[tuple[Notification, list[dict[str, Any]], datetime | None]],
    ) -> None:
        """Record how each delivery went, and when to retry; None for never.

        A notification that another worker has claimed since is skipped.
        """
        if not outcomes:
            return
        updates: list[UpdateOne | UpdateMany] = [
            UpdateOne(
                {"_id": event.id, "user_id": event.user_id, "claim": mark},
                {"$set": {"deliveries": deliveries, "deliver_at": deliver_at}},
            )
            for event, deliveries, deliver_at in outcomes
            if deliver_at is not None
        ]
        ended = [(event, deliveries) for event, deliveries, again in outcomes if again is None]
        updates += [_end_deliveries(mark, batch) for batch in batched(ended, IN_CLAUSE_SIZE)]
        with pymongo.timeout(OUTBOX_SECONDS):
            collection("notifications").bulk_write(updates, ordered=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """Notifications that one worker may deliver, and the mark of its claim."""

    mark: ObjectId
    notifications: list[Notification]


_FIELDS = tuple(name for name in Notification.__dataclass_fields__ if name != "id")


def _deliveries(
    event_type: str, preferences: Preferences, now: datetime, sends: bool
) -> list[dict[str, Any]]:
    if sends:
        return [{"channel": channel, "status": "pending", "attempts": 0} for channel in CHANNELS]
    wanted = {channel: preferences.allow(channel, event_type) for channel in CHANNELS}
    return [
        {
            "channel": channel,
            "status": "recorded" if wanted[channel] else "skipped",
            "attempts": int(wanted[channel]),
            "at": now,
        }
        for channel in CHANNELS
    ]


def _end_deliveries(
    mark: ObjectId, ended: Sequence[tuple[Notification, list[dict[str, Any]]]]
) -> UpdateMany:
    deliveries = value_by_id({event.id: deliveries for event, deliveries in ended})
    return UpdateMany(
        {**by_owner({event.id: event.user_id for event, _ in ended}), "claim": mark},
        [{"$set": {"deliveries": deliveries}}, {"$unset": ["deliver_at", "claim"]}],
        **use_index("_id"),
    )
