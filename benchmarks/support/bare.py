"""The floors: the same writes in bare PyMongo, the same route in bare Flask.

Each writes or answers what the application does and nothing else is done: no validation, no
rules, no limits, no models.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from bson import ObjectId
from pymongo import MongoClient, ReturnDocument, UpdateOne, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from benchmarks.support.world import connect
from config import DATABASE_NAME

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Opening:
    """What opening one trade writes: three documents of the application's own as patterns."""

    trade: Document
    notification: Document
    portfolio_increments: Document

    @property
    def margin(self) -> Decimal:
        increment: Decimal = self.portfolio_increments["available_margin"]
        return -increment


def open_trades(uri: str, user_ids: Sequence[str], opening: Opening, seconds: float) -> float:
    """Open trades for `seconds`, a thread a user; return how many a second."""
    counts = [0] * len(user_ids)
    with connect(uri) as client:
        end = time.perf_counter() + seconds

        def run(position: int) -> None:
            while time.perf_counter() < end:
                _open_one(client, user_ids[position], opening)
                counts[position] += 1

        threads = [threading.Thread(target=run, args=(each,)) for each in range(len(user_ids))]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / (time.perf_counter() - began)


def _open_one(client: MongoClient[Document], user_id: str, opening: Opening) -> None:
    db = client[DATABASE_NAME]

    def write(session: ClientSession) -> None:
        portfolio = db.portfolios.find_one_and_update(
            {"user_id": user_id, "name": "default", "available_margin": {"$gte": opening.margin}},
            {
                "$inc": opening.portfolio_increments,
                "$set": {"last_updated": opening.trade["created_at"]},
            },
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        assert portfolio is not None
        trade = {
            **opening.trade,
            "_id": ObjectId(),
            "user_id": user_id,
            "portfolio_id": portfolio["_id"],
            "number": portfolio["trade_count"],
        }
        db.trades.insert_one(trade, session=session)
        inbox = db.inboxes.find_one_and_update(
            {"_id": user_id},
            {"$inc": {"event_seq": 1, "unread_count": 1}},
            {"event_seq": 1},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        assert inbox is not None
        notification = {
            **opening.notification,
            "_id": ObjectId(),
            "user_id": user_id,
            "seq": inbox["event_seq"],
        }
        db.notifications.insert_many([notification], ordered=False, session=session)

    _write_durably(client, write)


@dataclass(frozen=True, slots=True)
class Closing:
    """What closing some trades writes, as it is written."""

    trades: list[UpdateOne]
    portfolios: list[UpdateOne]
    inboxes: list[UpdateOne]
    notifications: list[Document]


def close_trades(db: Database[Document], closings: Sequence[Closing]) -> None:
    """Write each of `closings` in a transaction."""
    for closing in closings:

        def write(closing: Closing, session: ClientSession) -> None:
            db.trades.bulk_write(closing.trades, ordered=False, session=session)
            db.portfolios.bulk_write(closing.portfolios, ordered=False, session=session)
            db.inboxes.bulk_write(closing.inboxes, ordered=False, session=session)
            db.notifications.insert_many(closing.notifications, ordered=False, session=session)

        _write_durably(db.client, partial(write, closing))


def _write_durably(client: MongoClient[Document], write: Callable[[ClientSession], None]) -> None:
    """Run `write` in a transaction, with the application's read and write concern."""
    with client.start_session() as session:
        session.with_transaction(
            write,
            read_concern=ReadConcern("snapshot"),
            write_concern=WriteConcern("majority", j=True),
        )
