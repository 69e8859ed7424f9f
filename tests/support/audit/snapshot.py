"""The whole database at one moment."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

from app.database.codec import TYPE_REGISTRY

Document = dict[str, Any]
COLLECTIONS = (
    *("inboxes", "portfolios", "movements", "trades"),
    *("notifications", "answers", "market"),
)


def embedded_record(data_dir: Path) -> dict[str, int]:
    """Return the port and the process ids of the database in a data folder."""
    record: dict[str, int] = json.loads((data_dir / "database.json").read_text())
    return record


def embedded_uri(data_dir: Path) -> str:
    secret = (data_dir / "database_secret").read_text()
    where = f"127.0.0.1:{embedded_record(data_dir)['port']}"
    return f"mongodb://paper_trading:{secret}@{where}/?directConnection=true&authSource=admin"


def subject_of(data: Document) -> str:
    """Return the id of the trade or the movement that an event is about, or the season it began."""
    return str(data.get("trade_id") or data.get("movement_id") or data["season"])


@dataclass
class Snapshot:
    """The documents of each collection, read in one transaction."""

    inboxes: list[Document]
    portfolios: list[Document]
    movements: list[Document]
    trades: list[Document]
    notifications: list[Document]
    answers: list[Document]
    market: list[Document]

    @classmethod
    def take(cls, uri: str, database: str = "paper_trading") -> Snapshot:
        client: MongoClient[Document] = MongoClient(
            uri, tz_aware=True, type_registry=TYPE_REGISTRY, timeoutMS=20_000
        )
        concern = ReadConcern("snapshot")
        with (
            client,
            client.start_session() as session,
            session.start_transaction(read_concern=concern),
        ):
            found = {
                name: list(client[database][name].find({}, session=session)) for name in COLLECTIONS
            }
        return cls(**found)

    @property
    def replay(self) -> Document:
        """When the replay began, and up to which time it is settled."""
        return next(each for each in self.market if each["_id"] == "replay")

    @property
    def settled_to(self) -> datetime | None:
        """The recorded time up to which the replay is settled."""
        time: datetime | None = self.replay.get("settled_to")
        return time

    def of_users(self, user_ids: Collection[str]) -> Snapshot:
        """Return the documents of these users."""
        return Snapshot(
            inboxes=_owned(self.inboxes, "_id", user_ids),
            portfolios=_owned(self.portfolios, "user_id", user_ids),
            movements=_owned(self.movements, "user_id", user_ids),
            trades=_owned(self.trades, "user_id", user_ids),
            notifications=_owned(self.notifications, "user_id", user_ids),
            answers=self.answers,
            market=self.market,
        )


def _owned(documents: list[Document], owner: str, user_ids: Collection[str]) -> list[Document]:
    return [document for document in documents if document[owner] in user_ids]
