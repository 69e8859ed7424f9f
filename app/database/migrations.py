"""Migrations: documents of an earlier version are rewritten into the shape that the models read.

Each step rewrites documents in batches, one transaction a batch, and selects only documents that
still have the old shape. So the next start continues an interrupted step, and processes that start
together share the work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import pymongo
from bson import ObjectId
from pymongo.errors import BulkWriteError, OperationFailure

from app.database import Document, collection
from app.database.batches import batch_size, batched
from app.database.hints import use_index
from app.database.indexes import create_collection
from app.database.transactions import run_transaction
from app.domain.contact import identity_key
from app.domain.money import ZERO
from app.logs import logger
from config import ConfigurationError

# For one query or one batch: the server serves no request before the migration is done.
MIGRATION_TIMEOUT_SECONDS = 600
INDEX_NOT_FOUND = 27
DUPLICATE_KEY = 11000
# Indexes of the trigger fields, as shapes before 4 had them.
_STATUS_INDEXES = {
    "trades": ("status_1_symbol_1_trigger_below_1", "status_1_symbol_1_trigger_above_1"),
    "alerts": ("status_1_symbol_1_above_1", "status_1_symbol_1_below_1"),
}
# Indexes of the trades of a user, as shapes before 5 had them.
_USER_INDEXES = ("user_id_1_number_1", "user_id_1_status_1_number_1")


class UnusableData(ConfigurationError):
    """The configured database holds data that this version cannot use."""

    def __init__(self, message: str) -> None:
        self.offences = [message]
        Exception.__init__(self, message)


class OutdatedData(UnusableData):
    """A command was to use data of an earlier version."""


def migrate(*, for_command: bool = False) -> None:
    """Rewrite the documents into the current shape, and store its version.

    Raises UnusableData for data of a later version or of one too old, and, `for_command`,
    OutdatedData for any other version: the running server may still be of that version.
    """
    version = _stored_version()
    if version > VERSION:
        raise UnusableData(
            f"The data is in shape {version}, that of a later version; this one knows shapes up to "
            f"{VERSION}. Update it, or name other data with DATA_DIR or MONGO_URI."
        )
    if version == VERSION:
        return
    if version < min(STEPS) - 1:
        raise UnusableData(
            f"The data is in shape {version}, which this version no longer migrates. Start a "
            f"version that writes shape {min(STEPS) - 1} once, then this one."
        )
    if for_command:
        raise OutdatedData(
            "The data is in the shape of an earlier version. Stop its server, run `flask --app run "
            "migrate` or start this one once, and repeat the command."
        )
    for number in range(version + 1, VERSION + 1):
        logger.warning("migrating the data to shape %d; the server starts after that", number)
        STEPS[number]()
        _store_version(number)


def _stored_version() -> int:
    document = collection("schema").find_one({"_id": "version"})
    if document is not None:
        return int(document["number"])
    if collection("users").find_one({}, {"_id": 1}) is not None:
        # Written before the version was stored.
        return 1
    _store_version(VERSION)
    return VERSION


def _store_version(number: int) -> None:
    # $max: a process of a later version may start at the same time.
    collection("schema").update_one({"_id": "version"}, {"$max": {"number": number}}, upsert=True)


def _reserve_identities() -> None:
    """Shape 3: all spellings of an email address or client_id belong to one user.

    If users of earlier versions share a spelling, the oldest of them gets it.
    """
    with pymongo.timeout(MIGRATION_TIMEOUT_SECONDS):
        fields = {"client_id": 1, "email": 1, "created_at": 1}
        users = sorted(collection("users").find({}, fields), key=lambda user: user["created_at"])
        owners: Document = {}
        for user in users:
            for name in (user["client_id"], user["email"]):
                owners.setdefault(identity_key(name), user["client_id"])
        documents = [{"_id": key, "client_id": client_id} for key, client_id in owners.items()]
        for batch in batched(documents, batch_size()):
            try:
                collection("identities").insert_many(batch, ordered=False)
            except BulkWriteError as error:
                # Reserved by another process, or by an interrupted start.
                if any(fault["code"] != DUPLICATE_KEY for fault in error.details["writeErrors"]):
                    raise


def _separate_portfolios() -> None:
    """Shape 4: a portfolio has its own id and name; `waiting` marks what a price can trigger."""
    _rewrite("portfolios", {"portfolio_id": {"$exists": True}}, _give_portfolios_ids)
    for name, indexes in _STATUS_INDEXES.items():
        _rewrite(name, {"status": "ACTIVE", "waiting": {"$exists": False}}, _mark_waiting)
        for index in indexes:
            _drop_index(name, index)


def _give_portfolios_ids(name: str, portfolios: Sequence[Document]) -> None:
    old_ids = [portfolio["_id"] for portfolio in portfolios]
    collection(name).delete_many({"_id": {"$in": old_ids}})
    renamed = []
    for portfolio in portfolios:
        user_id, portfolio_id = portfolio.pop("_id"), portfolio.pop("portfolio_id")
        own = {"_id": portfolio_id, "user_id": user_id, "name": "default"}
        renamed.append({**own, **portfolio})
    collection(name).insert_many(renamed)


def _mark_waiting(name: str, documents: Sequence[Document]) -> None:
    ids = [document["_id"] for document in documents]
    users = sorted({document["user_id"] for document in documents})
    query = {"_id": {"$in": ids}, "user_id": {"$in": users}}
    collection(name).update_many(query, {"$set": {"waiting": True}}, **use_index("_id"))


def _begin_seasons() -> None:
    """Shape 5: a trade belongs to a portfolio, and a portfolio has seasons and movements."""
    create_collection("movements")
    _rewrite("trades", {"portfolio_id": {"$exists": False}}, _give_trades_portfolios)
    _rewrite("portfolios", {"season": {"$exists": False}}, _begin_first_season)
    for index in _USER_INDEXES:
        _drop_index("trades", index)


def _give_trades_portfolios(name: str, trades: Sequence[Document]) -> None:
    by_user = defaultdict(list)
    for trade in trades:
        by_user[trade["user_id"]].append(trade["_id"])
    for user_id, ids in by_user.items():
        portfolio = collection("portfolios").find_one({"user_id": user_id, "name": "default"})
        if portfolio is None:
            # The account was being erased; that continues after the start.
            portfolio = {"_id": ObjectId()}
        own = {"portfolio_id": portfolio["_id"], "portfolio": "default"}
        query = {"_id": {"$in": ids}, "user_id": user_id}
        collection(name).update_many(query, {"$set": own}, **use_index("_id"))


def _begin_first_season(name: str, portfolios: Sequence[Document]) -> None:
    collection("movements").insert_many(
        {
            "user_id": portfolio["user_id"],
            "portfolio_id": portfolio["_id"],
            "season": 1,
            "kind": "opening",
            "amount": portfolio["initial_margin"],
            "balance_after": portfolio["initial_margin"],
            "created_at": portfolio["created_at"],
        }
        for portfolio in portfolios
    )
    fields = {"season": 1, "season_start": 0, "seasons": [], "deposits": ZERO, "withdrawals": ZERO}
    query = {
        "_id": {"$in": [portfolio["_id"] for portfolio in portfolios]},
        "user_id": {"$in": sorted({portfolio["user_id"] for portfolio in portfolios})},
    }
    update = [{"$set": {**fields, "season_started_at": "$created_at"}}]
    collection(name).update_many(query, update, **use_index("_id"))


def _forget_bounds() -> None:
    """Shape 6: bounds tell which prices trigger nothing; earlier versions do not widen them."""
    create_collection("bounds")
    collection("bounds").delete_many({})


def _rewrite(name: str, old: Document, rewrite: Callable[[str, Sequence[Document]], None]) -> None:
    """Have `rewrite` change the documents of a collection that match `old`."""
    with pymongo.timeout(MIGRATION_TIMEOUT_SECONDS):
        ids = [document["_id"] for document in collection(name).find(old, {"_id": 1})]
    done = 0
    for batch in batched(ids, batch_size()):

        def write(batch: Sequence[Any] = batch) -> None:
            # Read again in the transaction: another process may have rewritten some of them.
            query = {"_id": {"$in": list(batch)}, **old}
            if documents := list(collection(name).find(query)):
                rewrite(name, documents)

        run_transaction(write, timeout_seconds=MIGRATION_TIMEOUT_SECONDS)
        done += len(batch)
        logger.info("%s: %d of %d migrated", name, done, len(ids))


def _drop_index(name: str, index: str) -> None:
    if index not in collection(name).index_information():
        return
    try:
        collection(name).drop_index(index)
    except OperationFailure as error:
        # Another process that is starting dropped it first.
        if error.code != INDEX_NOT_FOUND:
            raise


STEPS: dict[int, Callable[[], None]] = {
    3: _reserve_identities,
    4: _separate_portfolios,
    5: _begin_seasons,
    6: _forget_bounds,
}
VERSION = max(STEPS)
