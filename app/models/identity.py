"""Identities: the user behind an email address, client_id or confirmed number.

The `_id` is the key shared by all spellings of a name (app/domain/contact.py), so no two users can
have the same name, and the users need no further index.
"""

from __future__ import annotations

from app.database import Document, collection
from app.domain.contact import identity_key


class Identity:
    @classmethod
    def create(cls, client_id: str, *names: str) -> None:
        """Reserve all spellings of the names; DuplicateKeyError if one belongs to another user."""
        keys = dict.fromkeys(identity_key(name) for name in names)
        for key in keys:
            document: Document = {"_id": key, "client_id": client_id}
            collection("identities").insert_one(document)

    @classmethod
    def release(cls, client_id: str, name: str) -> None:
        """Give up all spellings of a name of the user."""
        query: Document = {"_id": identity_key(name), "client_id": client_id}
        collection("identities").delete_one(query)

    @classmethod
    def find_client_id(cls, name: str) -> str | None:
        """Return the client_id of the user with this name, in any spelling."""
        query = {"_id": identity_key(name)}
        document = collection("identities").find_one(query)
        return str(document["client_id"]) if document else None
