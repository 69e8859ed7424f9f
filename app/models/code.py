"""Codes that prove that a user reads an address, until used, guessed too often or expired.

The `_id` is what the code is for and the user, so a new code replaces the previous one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pymongo.errors import DuplicateKeyError

from app.database import Document, collection
from app.models.quota import purge_at

CODE_LIFETIME = timedelta(minutes=10)


class CodePurpose(StrEnum):
    """What a code is for."""

    CONFIRM = "confirm"
    NEW_EMAIL = "new_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose

    def name_on(self, channel: str) -> str:
        """Return the name under which a code that is sent by a channel is stored."""
        return channel if self is CodePurpose.CONFIRM else self.value


@dataclass(frozen=True, slots=True)
class Code:
    """`channel` is the name of its purpose on a channel."""

    user_id: str
    channel: str
    address: str
    digest: str
    attempts_left: int
    created_at: datetime
    expires_at: datetime

    @classmethod
    def find(cls, user_id: str, channel: str) -> Code | None:
        document = collection("codes").find_one({"_id": _key(user_id, channel)})
        return cls(**{name: document[name] for name in _FIELDS}) if document else None

    def save(self, min_gap: timedelta) -> bool:
        """Store the code in place of one that is older by `min_gap`; return False if none is."""
        key = {"_id": _key(self.user_id, self.channel)}
        document: Document = {name: getattr(self, name) for name in _FIELDS}
        document["purge_at"] = purge_at()
        older = {**key, "created_at": {"$lte": self.created_at - min_gap}}
        try:
            collection("codes").replace_one(older, {**key, **document}, upsert=True)
        except DuplicateKeyError:
            # There is a newer one.
            return False
        return True

    def take_attempt(self, now: datetime) -> bool:
        """Count a guess; return whether it is in time and within the allowed attempts."""
        query = {
            "_id": _key(self.user_id, self.channel),
            "digest": self.digest,
            "attempts_left": {"$gt": 0},
            "expires_at": {"$gt": now},
        }
        counted = collection("codes").update_one(query, {"$inc": {"attempts_left": -1}})
        return counted.matched_count == 1

    @classmethod
    def delete(cls, user_id: str, channel: str) -> None:
        collection("codes").delete_one({"_id": _key(user_id, channel)})


def _key(user_id: str, channel: str) -> str:
    return f"{channel}:{user_id}"


_FIELDS = tuple(Code.__dataclass_fields__)
