"""API keys: credentials of bots. The database has a hash of each, never the key itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bson import ObjectId

from app.database import Document, collection

# How long the list of a user shows a key that has expired.
EXPIRED_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key. `key_hash` is the SHA-256 of the key in hexadecimal digits."""

    id: ObjectId
    user_id: str
    name: str
    scopes: tuple[str, ...]
    key_hash: str
    last4: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None

    @classmethod
    def from_document(cls, document: Document) -> ApiKey:
        fields = {name: document[name] for name in _FIELDS}
        return cls(id=document["_id"], **{**fields, "scopes": tuple(fields["scopes"])})

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    @classmethod
    def create(
        cls,
        *,
        user_id: str,
        name: str,
        scopes: Sequence[str],
        key_hash: str,
        last4: str,
        created_at: datetime,
        expires_at: datetime | None,
    ) -> ApiKey:
        """Insert a key. The database deletes it some time after it has expired."""
        scopes = tuple(scopes)
        key = cls(ObjectId(), user_id, name, scopes, key_hash, last4, created_at, expires_at)
        document: Document = {field: getattr(key, field) for field in _FIELDS}
        if expires_at is not None:
            document["purge_at"] = expires_at + EXPIRED_KEPT
        collection("api_keys").insert_one({"_id": key.id, **document, "scopes": list(scopes)})
        return key

    @classmethod
    def find_by_hash(cls, key_hash: str) -> ApiKey | None:
        document = collection("api_keys").find_one({"key_hash": key_hash})
        return cls.from_document(document) if document else None

    @classmethod
    def find_by_user_id(cls, user_id: str) -> list[ApiKey]:
        """Return the user's keys, newest first."""
        found = map(cls.from_document, collection("api_keys").find({"user_id": user_id}))
        return sorted(found, key=lambda key: (key.created_at, key.id), reverse=True)

    @classmethod
    def note_use(cls, key: ApiKey, now: datetime) -> None:
        """Store that a key is in use, unless another process did so since it was read."""
        query = {"_id": key.id, "user_id": key.user_id, "last_used_at": key.last_used_at}
        collection("api_keys").update_one(query, {"$set": {"last_used_at": now}})

    @classmethod
    def delete(cls, key_id: ObjectId, user_id: str) -> ApiKey | None:
        """Delete a key of the user; return it, None if the user has no such key."""
        document = collection("api_keys").find_one_and_delete({"_id": key_id, "user_id": user_id})
        return cls.from_document(document) if document else None


_FIELDS = tuple(name for name in ApiKey.__dataclass_fields__ if name != "id")
