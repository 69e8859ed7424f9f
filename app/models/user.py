"""Users: who may sign in, where messages go, and how many events they have had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bson import ObjectId
from pymongo import ReturnDocument, UpdateOne
from pymongo.client_session import ClientSession

from app.database import Document, collection


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

    @classmethod
    def from_document(cls, document: Document) -> User:
        return cls(id=document["_id"], **{key: document[key] for key in _FIELDS})

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
    def count_events(cls, events: Mapping[str, int], session: ClientSession) -> dict[str, int]:
        """Add to each user's count of events; return the new counts by client_id.

        A user's event takes the new count as its `seq`. The users' documents stay locked to
        the transaction, so no two events share a number and a rollback leaves no gap. A
        client_id without a user is missing from what is returned.
        """
        users = collection("users")
        if len(events) == 1:
            ((client_id, count),) = events.items()
            document = users.find_one_and_update(
                {"client_id": client_id},
                _count(count),
                projection={"event_seq": 1},
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            return {client_id: document["event_seq"]} if document else {}
        users.bulk_write(
            [UpdateOne({"client_id": each}, _count(count)) for each, count in events.items()],
            ordered=False,
            session=session,
        )
        found = users.find(
            {"client_id": {"$in": list(events)}}, {"client_id": 1, "event_seq": 1}, session=session
        )
        return {each["client_id"]: each["event_seq"] for each in found}

    @classmethod
    def count_read(cls, client_id: str, session: ClientSession) -> None:
        """Take one off the user's count of unread notifications."""
        collection("users").update_one(
            {"client_id": client_id}, {"$inc": {"unread_count": -1}}, session=session
        )

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


_FIELDS = tuple(name for name in User.__dataclass_fields__ if name != "id")


def _count(events: int) -> Document:
    return {"$inc": {"event_seq": events, "unread_count": events}}
