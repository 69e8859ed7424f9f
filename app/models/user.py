"""Users: their credentials, addresses and names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument

from app.database import Document, collection
from app.domain.contact import is_same_identity
from app.models.identity import Identity


@dataclass(frozen=True, slots=True)
class User:
    id: ObjectId
    client_id: str
    name: str
    email: str
    phone: str
    password_hash: str
    created_at: datetime
    # The address and number that the user has confirmed by a code, which may be former ones.
    confirmed_email: str | None = None
    confirmed_phone: str | None = None
    # A new address that takes effect when the user confirms it.
    pending_email: str | None = None

    @classmethod
    def from_document(cls, document: Document) -> User:
        fields = {key: document[key] for key in _FIELDS}
        fields |= {key: document.get(key) for key in _OPTIONAL}
        return cls(id=document["_id"], **fields)

    def address(self, channel: str) -> str:
        """Return the user's address on this channel."""
        return self.email if channel == "email" else self.phone

    def is_confirmed(self, channel: str) -> bool:
        """Return whether the user has confirmed their current address on this channel."""
        confirmed = self.confirmed_email if channel == "email" else self.confirmed_phone
        return confirmed == self.address(channel)

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
    ) -> User:
        """Insert a user; DuplicateKeyError if any spelling of the client_id or email is taken."""
        Identity.create(client_id, client_id, email)
        document: Document = {
            "client_id": client_id,
            "name": name,
            "email": email,
            "phone": phone,
            "password_hash": password_hash,
            "created_at": created_at,
        }
        collection("users").insert_one(document)
        return cls.from_document(document)

    @classmethod
    def find_by_client_id(cls, client_id: str) -> User | None:
        return cls._find({"client_id": client_id})

    @classmethod
    def find_by_name(cls, name: str) -> User | None:
        """Return the user with this email address or client_id, in any spelling.

        An exact match has priority: users of earlier versions may differ in spelling only.
        """
        exact = name.strip()
        user = (
            cls._find({"client_id": exact})
            or cls._find({"email": exact.lower()})
            or cls._find({"client_id": exact.lower()})
        )
        client_id = None if user else Identity.find_client_id(exact)
        return cls.find_by_client_id(client_id) if client_id else user

    @classmethod
    def find_by_id(cls, user_id: ObjectId) -> User | None:
        return cls._find({"_id": user_id})

    @classmethod
    def replace_password_hash(cls, client_id: str, old: str, new: str) -> None:
        """Store a new hash of the same password, unless the password has changed since."""
        query = {"client_id": client_id, "password_hash": old}
        collection("users").update_one(query, {"$set": {"password_hash": new}})

    @classmethod
    def set_fields(cls, client_id: str, fields: Mapping[str, Any]) -> None:
        """Replace fields of the user that are in no other document."""
        collection("users").update_one({"client_id": client_id}, {"$set": dict(fields)})

    @classmethod
    def replace_email(cls, user: User, email: str) -> None:
        """Make a confirmed address the user's email; DuplicateKeyError if another user has it.

        Call it in a transaction.
        """
        if Identity.find_client_id(email) != user.client_id:
            Identity.create(user.client_id, email)
        if not any(is_same_identity(user.email, name) for name in (user.client_id, email)):
            Identity.release(user.client_id, user.email)
        fields = {"email": email, "confirmed_email": email}
        update = {"$set": fields, "$unset": {"pending_email": ""}}
        collection("users").update_one({"client_id": user.client_id}, update)

    @classmethod
    def confirm(cls, user: User, channel: str) -> None:
        """Mark the user's address as confirmed; DuplicateKeyError if another user has the number.

        A number belongs to the first user who confirms it.
        """
        field = "confirmed_email" if channel == "email" else "confirmed_phone"
        address = user.address(channel)
        if channel != "email":
            if Identity.find_client_id(address) != user.client_id:
                Identity.create(user.client_id, address)
            if user.confirmed_phone not in (None, address):
                Identity.release(user.client_id, user.confirmed_phone)
        query = {"client_id": user.client_id}
        collection("users").update_one(query, {"$set": {field: address}})

    @classmethod
    def find_many(cls, client_ids: list[str]) -> list[User]:
        """Return the users with these client_ids, in no particular order."""
        documents = collection("users").find({"client_id": {"$in": client_ids}})
        return [cls.from_document(document) for document in documents]

    @classmethod
    def count_alert(cls, client_id: str) -> int | None:
        """Increment the user's count of alerts; return it, None if the user does not exist.

        A new alert takes it as its `number`. The document stays locked by the transaction, so two
        alerts never share a number.
        """
        document = collection("users").find_one_and_update(
            {"client_id": client_id},
            {"$inc": {"alert_count": 1}},
            {"alert_count": 1},
            return_document=ReturnDocument.AFTER,
        )
        return int(document["alert_count"]) if document else None

    @classmethod
    def count_portfolio(cls, client_id: str) -> bool:
        """Count a new portfolio of the user; return whether the user exists.

        The document stays locked by the transaction, so a user's portfolios open one by one.
        """
        query = {"client_id": client_id}
        update = {"$inc": {"portfolio_count": 1}}
        return collection("users").update_one(query, update).matched_count == 1

    @classmethod
    def count_watchlist(cls, client_id: str) -> bool:
        """Count a new watchlist of the user; return whether the user exists.

        The document stays locked by the transaction, so a user's watchlists are created one by one.
        """
        query = {"client_id": client_id}
        update = {"$inc": {"watchlist_count": 1}}
        return collection("users").update_one(query, update).matched_count == 1

    @classmethod
    def last_alert_number(cls, client_id: str) -> int:
        """Return the number of the user's newest alert, 0 if the user never had one."""
        query = {"client_id": client_id}
        document = collection("users").find_one(query, {"alert_count": 1}) or {}
        return int(document.get("alert_count", 0))

    @classmethod
    def _find(cls, query: Document) -> User | None:
        document = collection("users").find_one(query)
        return cls.from_document(document) if document else None


_OPTIONAL = ("confirmed_email", "confirmed_phone", "pending_email")
_FIELDS = tuple(
    name for name in User.__dataclass_fields__ if name != "id" and name not in _OPTIONAL
)
