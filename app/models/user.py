"""Users: who may sign in, where messages go, and how many events they have had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from app.database import Document, collection
from app.models.preferences import Preferences


@dataclass(frozen=True, slots=True)
class User:
    id: ObjectId
    client_id: str
    name: str
    email: str
    phone: str
    password_hash: str
    created_at: datetime
    event_seq: int
    unread_count: int
    preferences: Preferences = field(default_factory=Preferences)

    @classmethod
    def from_document(cls, document: Document) -> User:
        values = {key: document[key] for key in _FIELDS}
        # Absent until they are first set, in old documents as in new ones.
        preferences = Preferences.from_document(document.get("preferences"))
        return cls(id=document["_id"], **values, preferences=preferences)

    @classmethod
    def create(
        cls,
        *,
        client_id: str,
        name: str,
        email: str,
        phone: str,
        password_hash: str,
        created_at: datetime,
        session: ClientSession | None = None,
    ) -> User:
        """Insert a user; DuplicateKeyError where the client_id or email is taken."""
        document: Document = {
            "client_id": client_id,
            "name": name,
            "email": email,
            "phone": phone,
            "password_hash": password_hash,
            "created_at": created_at,
            "event_seq": 0,
            "unread_count": 0,
        }
        collection("users").insert_one(document, session=session)
        return cls.from_document(document)

    @classmethod
    def find_by_client_id(cls, client_id: str, session: ClientSession | None = None) -> User | None:
        return cls._find({"client_id": client_id}, session)

    @classmethod
    def find_by_email(cls, email: str, session: ClientSession | None = None) -> User | None:
        return cls._find({"email": email}, session)

    @classmethod
    def find_by_id(cls, user_id: ObjectId, session: ClientSession | None = None) -> User | None:
        return cls._find({"_id": user_id}, session)

    @classmethod
    def find_many(cls, client_ids: list[str], session: ClientSession | None = None) -> list[User]:
        """Return those of the users that exist, in no particular order."""
        found = collection("users").find({"client_id": {"$in": client_ids}}, session=session)
        return [cls.from_document(document) for document in found]

    @classmethod
    def save_preferences(
        cls, client_id: str, preferences: Preferences, session: ClientSession
    ) -> bool:
        """Replace the user's preferences; tell whether there is such a user."""
        result = collection("users").update_one(
            {"client_id": client_id},
            {"$set": {"preferences": preferences.to_document()}},
            session=session,
        )
        return result.matched_count == 1

    @classmethod
    def count_events(
        cls, events: Mapping[str, int], session: ClientSession
    ) -> dict[str, EventCount]:
        """Add to each user's count of events; return the new counts by client_id.

        A user's event takes the new count as its `seq`. The users' documents stay locked to
        the transaction, so no two events share a number and a rollback leaves no gap. A
        client_id without a user is missing from what is returned.
        """
        users = collection("users")
        users.bulk_write(
            [UpdateOne({"client_id": each}, _count(count)) for each, count in events.items()],
            ordered=False,
            session=session,
        )
        found = users.find(
            {"client_id": {"$in": list(events)}},
            {"client_id": 1, "event_seq": 1, "preferences": 1},
            session=session,
        )
        return {
            each["client_id"]: EventCount(
                each["event_seq"], Preferences.from_document(each.get("preferences"))
            )
            for each in found
        }

    @classmethod
    def count_read(cls, client_id: str, session: ClientSession) -> None:
        """Take one off the user's count of unread notifications."""
        collection("users").update_one(
            {"client_id": client_id}, {"$inc": {"unread_count": -1}}, session=session
        )

    @classmethod
    def count_alert(cls, client_id: str, session: ClientSession) -> int | None:
        """Add one to the user's count of alerts; return it, None where there is no such user.

        A new alert takes it as its `number`. The document stays locked to the transaction, so
        of two alerts at once the second finds the first.
        """
        query = {"client_id": client_id}
        users = collection("users")
        if not users.update_one(query, {"$inc": {"alert_count": 1}}, session=session).matched_count:
            return None
        document = users.find_one(query, {"alert_count": 1}, session=session) or {}
        return int(document["alert_count"])

    @classmethod
    def last_alert_number(cls, client_id: str) -> int:
        """Return the number of the user's newest alert, 0 where there was never one."""
        query = {"client_id": client_id}
        document = collection("users").find_one(query, {"alert_count": 1}) or {}
        return int(document.get("alert_count", 0))

    @classmethod
    def correct_event_seq(cls, client_id: str, seq: int, session: ClientSession) -> None:
        """Set the count of events to what it was found to have to be."""
        collection("users").update_one(
            {"client_id": client_id}, {"$set": {"event_seq": seq}}, session=session
        )

    @classmethod
    def _find(cls, query: Document, session: ClientSession | None) -> User | None:
        document = collection("users").find_one(query, session=session)
        return cls.from_document(document) if document else None


@dataclass(frozen=True, slots=True)
class EventCount:
    """The `seq` of a user's last event, and how they want to be told of events."""

    last: int
    preferences: Preferences


_FIELDS = tuple(name for name in User.__dataclass_fields__ if name not in ("id", "preferences"))


def _count(events: int) -> Document:
    return {"$inc": {"event_seq": events, "unread_count": events}}
