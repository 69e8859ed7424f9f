"""Erasures: accounts that were deleted, until all that belonged to them is gone.

The `_id` is the client_id, and `names` are the other names of the user. They stay reserved until
then, so that a new user of a name does not find data of the previous one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bson import MaxKey

from app.database import Document, collection
from app.database.hints import use_index
from app.models.code import Code, CodePurpose
from app.models.identity import Identity
from app.models.movement import BY_TIME
from app.models.second_factor import SecondFactor
from app.models.user import User

# Documents in one statement: few enough to end well within its timeout.
BATCH_SIZE = 500
# Collections of which a user has many documents, and an index: a range of its last field is deleted
# at a time. Trades come first: a price must not close one.
NUMBERED = (
    ("trades", ("user_id", "portfolio_id", "number")),
    ("movements", BY_TIME),
    ("alerts", ("user_id", "number")),
    ("notifications", ("user_id", "seq")),
    ("webhook_deliveries", ("user_id", "webhook_id", "number")),
)
# Collections of which a user has few documents.
OF_USER = ("portfolios", "api_keys", "webhooks")


@dataclass(frozen=True, slots=True)
class Erasure:
    user_id: str
    names: tuple[str, ...]

    @classmethod
    def begin(cls, user: User, now: datetime) -> Erasure:
        """Delete the account, and what is left in small collections; call it in a transaction."""
        phone = (user.confirmed_phone,) if user.confirmed_phone else ()
        erasure = cls(user.client_id, (user.client_id, user.email, *phone))
        document: Document = {"names": list(erasure.names), "started_at": now}
        collection("erasures").update_one({"_id": user.client_id}, {"$set": document}, upsert=True)
        collection("users").delete_one({"client_id": user.client_id})
        for name in ("inboxes", "watchlists"):
            collection(name).delete_one({"_id": user.client_id})
        for name in OF_USER:
            collection(name).delete_many({"user_id": user.client_id})
        SecondFactor.delete(user.client_id)
        for channel in ("email", "sms"):
            for purpose in CodePurpose:
                Code.delete(user.client_id, purpose.name_on(channel))
        return erasure

    @classmethod
    def find_all(cls) -> list[Erasure]:
        """Return the erasures that have not ended."""
        found = collection("erasures").find({})
        return [cls(document["_id"], tuple(document["names"])) for document in found]

    def delete_documents(self) -> Iterator[int]:
        """Delete what is left in large collections, a batch at a time; yield the size of each."""
        for name, index in NUMBERED:
            while deleted := _delete_batch(name, index, self.user_id):
                yield deleted
        # Their `_id` begins with the user.
        first, last = {"user_id": self.user_id}, {"user_id": self.user_id, "key": MaxKey()}
        yield collection("answers").delete_many({"_id": {"$gte": first, "$lt": last}}).deleted_count

    def end(self) -> None:
        """Free the names of the user."""
        for name in self.names:
            Identity.release(self.user_id, name)
        collection("erasures").delete_one({"_id": self.user_id})


def _delete_batch(name: str, index: Sequence[str], user_id: str) -> int:
    """Delete a range of the index of a user; return how many documents it had."""
    *equal, number = index
    hint = use_index(*index)
    fields = dict.fromkeys(index, 1)
    found = list(collection(name).find({"user_id": user_id}, fields, **hint).limit(BATCH_SIZE))
    if not found:
        return 0
    # Of one portfolio, or one webhook.
    group = {field: found[0].get(field) for field in equal}
    numbers = [
        document[number]
        for document in found
        if all(document.get(field) == value for field, value in group.items())
    ]
    query = {**group, number: {"$gte": min(numbers), "$lte": max(numbers)}}
    return collection(name).delete_many(query, **hint).deleted_count
