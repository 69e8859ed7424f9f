"""Sessions: one for each sign-in, until its user ends it or it is not used for too long.

The `_id` is in every token of the session. A session that has ended is kept without personal data
until its last access token has expired.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bson import ObjectId
from pymongo import DESCENDING

from app.database import Document, collection
from app.database.hints import use_index

# Longer than any access token is valid, even if server clocks differ.
ENDED_KEPT = timedelta(days=8)
# Used refresh tokens that are recognized. An older one is refused as well.
USED_DIGESTS_KEPT = 50
LEGACY_PREFIX = "legacy:"
KEY_PREFIX = "key:"
# Sessions with these have no document until they end.
UNSTORED_PREFIXES = (LEGACY_PREFIX, KEY_PREFIX)


def legacy_session_id(user_id: str) -> str:
    """Return the id of the session that a user's tokens of earlier versions share.

    It has no document until it ends.
    """
    return f"{LEGACY_PREFIX}{user_id}"


def key_session_id(key_id: ObjectId) -> str:
    """Return the id of the session of an API key.

    It has no document until the key is deleted.
    """
    return f"{KEY_PREFIX}{key_id}"


@dataclass(frozen=True, slots=True)
class Session:
    """`refresh_digest` is of the valid refresh token, `used_digests` of earlier ones, oldest first.

    `device` and `address` are for people, who recognize their own.
    """

    id: str
    user_id: str
    device: str
    address: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    refresh_digest: str
    used_digests: tuple[str, ...]
    rotated_at: datetime
    ended_at: datetime | None = None

    @classmethod
    def from_document(cls, document: Document) -> Session:
        fields = {name: document[name] for name in _FIELDS}
        fields["used_digests"] = tuple(document["used_digests"])
        return cls(id=document["_id"], ended_at=document.get("ended_at"), **fields)

    def save(self) -> None:
        """Insert a new session."""
        document: Document = {name: getattr(self, name) for name in _FIELDS}
        document |= {
            "_id": self.id,
            "used_digests": list(self.used_digests),
            "purge_at": _purge_at(self.expires_at - self.created_at),
        }
        collection("sessions").insert_one(document)

    @classmethod
    def find(cls, session_id: str) -> Session | None:
        """Return the session unless it has ended."""
        document = collection("sessions").find_one({"_id": session_id})
        return cls.from_document(document) if document and not document.get("ended_at") else None

    @classmethod
    def last_use(cls, session_id: str) -> datetime | None:
        """Return when the session was last used, None if it has ended."""
        document = collection("sessions").find_one(
            {"_id": session_id}, {"last_used_at": 1, "ended_at": 1}
        )
        if document is None or document.get("ended_at"):
            return None
        return document["last_used_at"]  # type: ignore[no-any-return]

    @classmethod
    def has_ended(cls, session_id: str) -> bool:
        """Return whether a session has a document that says so."""
        document = collection("sessions").find_one({"_id": session_id}, {"ended_at": 1})
        return document is not None and document.get("ended_at") is not None

    @classmethod
    def find_by_user_id(cls, user_id: str) -> list[Session]:
        """Return the user's sessions that have not ended, the last used first."""
        documents = (
            collection("sessions")
            .find({"user_id": user_id, "ended_at": None}, **use_index("user_id"))
            .sort("last_used_at", DESCENDING)
        )
        return [cls.from_document(document) for document in documents]

    @classmethod
    def note_use(cls, session_id: str, user_id: str, now: datetime, address: str) -> None:
        """Store that the session was used now, from this address."""
        query = {"_id": session_id, "user_id": user_id, "ended_at": None}
        used = {"last_used_at": now, "address": address}
        collection("sessions").update_one(query, {"$set": used}, **use_index("_id"))

    def rotate(self, digest: str, now: datetime, expires_at: datetime) -> bool:
        """Replace the valid refresh token; return False if it was replaced or the session ended."""
        query = {
            "_id": self.id,
            "user_id": self.user_id,
            "ended_at": None,
            "refresh_digest": self.refresh_digest,
        }
        used = [*self.used_digests, self.refresh_digest][-USED_DIGESTS_KEPT:]
        fields: Document = {
            "refresh_digest": digest,
            "used_digests": used,
            "rotated_at": now,
            "last_used_at": now,
            "expires_at": expires_at,
            "purge_at": _purge_at(expires_at - now),
        }
        updated = collection("sessions").update_one(query, {"$set": fields}, **use_index("_id"))
        return updated.matched_count == 1

    @classmethod
    def end(cls, session_id: str, user_id: str, now: datetime) -> bool:
        """End a session of the user; return whether it had not ended yet."""
        query = {"_id": session_id, "user_id": user_id, "ended_at": None}
        ended = collection("sessions").update_one(query, _ended(now), **use_index("_id"))
        return ended.matched_count == 1

    @classmethod
    def end_all(cls, user_id: str, now: datetime, *, except_id: str | None = None) -> list[str]:
        """End the sessions of the user but one; return their ids.

        Tokens of earlier versions end with them, but for those of a caller who has one.
        """
        query: Document = {"user_id": user_id, "ended_at": None}
        if except_id is not None:
            query["_id"] = {"$ne": except_id}
        sessions = collection("sessions")
        hint = use_index("user_id")
        ids = [str(document["_id"]) for document in sessions.find(query, {"_id": 1}, **hint)]
        sessions.update_many(query, _ended(now), **hint)
        if except_id != legacy_session_id(user_id):
            ids.append(cls.end_legacy(user_id, now))
        return ids

    @classmethod
    def end_oldest(cls, user_id: str, now: datetime, kept: int) -> list[str]:
        """End the sessions of the user but those that were used last; return their ids."""
        oldest = [session.id for session in cls.find_by_user_id(user_id)[kept:]]
        return [session_id for session_id in oldest if cls.end(session_id, user_id, now)]

    @classmethod
    def end_legacy(cls, user_id: str, now: datetime) -> str:
        """End the session of the user's tokens of earlier versions; return its id."""
        session_id = legacy_session_id(user_id)
        _end_unstored(session_id, user_id, now)
        return session_id

    @classmethod
    def end_key(cls, key_id: ObjectId, user_id: str, now: datetime) -> str:
        """End the session of an API key that is deleted; return its id."""
        session_id = key_session_id(key_id)
        _end_unstored(session_id, user_id, now)
        return session_id

    @classmethod
    def find_ended(cls, since: datetime) -> set[str]:
        """Return the ids of the sessions that ended after a time."""
        query = {"ended_at": {"$gt": since}}
        return {str(each["_id"]) for each in collection("sessions").find(query, {"_id": 1})}


def _end_unstored(session_id: str, user_id: str, now: datetime) -> None:
    query, ended = {"_id": session_id}, {**_ended(now)["$set"], "user_id": user_id}
    collection("sessions").update_one(query, {"$set": ended}, upsert=True)


def _ended(now: datetime) -> Document:
    return {
        "$set": {"ended_at": now, "purge_at": _purge_at()},
        "$unset": dict.fromkeys(("device", "address", "refresh_digest", "used_digests"), ""),
    }


def _purge_at(lasts: timedelta = timedelta()) -> datetime:
    # The database deletes by real time.
    return datetime.now(UTC) + lasts + ENDED_KEPT


_FIELDS = tuple(name for name in Session.__dataclass_fields__ if name not in ("id", "ended_at"))
