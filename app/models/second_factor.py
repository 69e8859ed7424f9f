"""Second factors: the secret of a user's authenticator app, and their recovery codes.

The `_id` is the user's client_id. The secret is stored encrypted, recovery codes hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.database import Document, collection


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """`last_step` is the time step of the last code that was used: each code is for one use."""

    user_id: str
    secret: str
    last_step: int
    recovery_digests: tuple[str, ...]
    confirmed_at: datetime | None

    @classmethod
    def find(cls, user_id: str) -> SecondFactor | None:
        document = collection("second_factors").find_one({"_id": user_id})
        if document is None:
            return None
        return cls(
            user_id=user_id,
            secret=document["secret"],
            last_step=document["last_step"],
            recovery_digests=tuple(document["recovery_digests"]),
            confirmed_at=document.get("confirmed_at"),
        )

    @classmethod
    def find_confirmed(cls, user_id: str) -> SecondFactor | None:
        """Return the factor that a sign-in of the user needs, None if it needs none."""
        factor = cls.find(user_id)
        return factor if factor and factor.confirmed_at else None

    @classmethod
    def start(cls, user_id: str, secret: str) -> None:
        """Store a secret that the user has to confirm, in place of an unconfirmed one.

        Raises DuplicateKeyError if the user has a confirmed one.
        """
        fields: Document = {"secret": secret, "last_step": 0, "recovery_digests": []}
        query = {"_id": user_id, "confirmed_at": None}
        collection("second_factors").update_one(query, {"$set": fields}, upsert=True)

    def take_step(self, step: int) -> bool:
        """Use up the codes up to a time step; return False if the step was used before."""
        query = {"_id": self.user_id, "secret": self.secret, "last_step": {"$lt": step}}
        update = {"$set": {"last_step": step}}
        return collection("second_factors").update_one(query, update).matched_count == 1

    def take_recovery_code(self, digest: str) -> bool:
        """Use up a recovery code; return whether there was such a code."""
        query = {"_id": self.user_id, "recovery_digests": digest}
        update = {"$pull": {"recovery_digests": digest}}
        return collection("second_factors").update_one(query, update).matched_count == 1

    def confirm(self, digests: Sequence[str], now: datetime) -> bool:
        """Have sign-ins need the factor from now on; return False if another secret was started."""
        query = {"_id": self.user_id, "secret": self.secret, "confirmed_at": None}
        fields = {"confirmed_at": now, "recovery_digests": list(digests)}
        return collection("second_factors").update_one(query, {"$set": fields}).matched_count == 1

    def replace_recovery_codes(self, digests: Sequence[str]) -> None:
        """Replace all recovery codes."""
        fields = {"recovery_digests": list(digests)}
        collection("second_factors").update_one({"_id": self.user_id}, {"$set": fields})

    @classmethod
    def delete(cls, user_id: str) -> None:
        collection("second_factors").delete_one({"_id": user_id})
