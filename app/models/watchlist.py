"""The watchlists of a user: one document, because they are few, short, and ordered.

The `_id` is the client_id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from app.database import Document, collection
from app.domain.watchlist import Watchlist


class Watchlists:
    @classmethod
    def find(cls, user_id: str) -> list[Watchlist]:
        """Return the user's watchlists in the user's order."""
        document = collection("watchlists").find_one({"_id": user_id})
        return [from_document(each) for each in document["lists"]] if document else []

    @classmethod
    def save(cls, user_id: str, watchlists: Sequence[Watchlist]) -> None:
        """Replace the user's watchlists; call it in the transaction that has read them."""
        lists = [to_document(each) for each in watchlists]
        update = {"$set": {"lists": lists}}
        collection("watchlists").update_one({"_id": user_id}, update, upsert=True)


def to_document(watchlist: Watchlist) -> Document:
    return {**asdict(watchlist), "symbols": list(watchlist.symbols)}


def from_document(document: Document) -> Watchlist:
    return Watchlist(**{**document, "symbols": tuple(document["symbols"])})
