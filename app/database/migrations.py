"""Migrations: the documents of earlier versions, brought into the shape that the models read.

Each step moves documents a chunk at a time, a transaction each, and looks only for those that are
still in the old shape. So one that was cut short is gone on with by the next start, and processes
that start at once do the work between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pymongo
from pymongo.errors import BulkWriteError, OperationFailure

from app.database import Document, collection
from app.database.batches import BATCH_SIZE, batched
from app.database.transactions import run_transaction
from app.domain.contact import identity_key
from app.logs import logger
from config import ConfigurationError

# For listing what is to be moved, and for moving a chunk: nobody can be served before it is done.
MIGRATION_SECONDS = 600
INDEX_NOT_FOUND = 27
DUPLICATE_KEY = 11000


class UnusableData(ConfigurationError):
    """What is configured holds data that this version cannot use."""

    def __init__(self, message: str) -> None:
        self.offences = [message]
        Exception.__init__(self, message)


def migrate(*, for_command: bool = False) -> None:
    """Bring the documents into today's shape and note that they are in it.

    Raises UnusableData for those of a later version, and, `for_command`, for those of an earlier
    one: the server that a command runs beside may still be of that version.
    """
    version = _stored_version()
    if version > VERSION:
        raise UnusableData(
            f"The data is in shape {version}, that of a later version; this one knows shapes up to "
            f"{VERSION}. Update it, or name other data with DATA_DIR or MONGO_URI."
        )
    if version == VERSION:
        return
    if for_command:
        raise UnusableData(
            "The data is in the shape of an earlier version. Stop its server, start this one once, "
            "and repeat the command."
        )
    for number in range(version + 1, VERSION + 1):
        logger.warning("bringing the data into shape %d; the server starts after that", number)
        STEPS[number]()
        _note_version(number)


def _stored_version() -> int:
    found = collection("schema").find_one({"_id": "version"})
    if found is not None:
        return int(found["number"])
    if collection("users").find_one({}, {"_id": 1}) is not None:
        # Written before versions were noted.
        return 1
    _note_version(VERSION)
    return VERSION


def _note_version(number: int) -> None:
    # The higher of two: a process of a later version may be starting beside this one.
    collection("schema").update_one({"_id": "version"}, {"$max": {"number": number}}, upsert=True)


def _key_by_user() -> None:
    """Shape 2: counts of events in inboxes, and portfolios, are found by the user's client_id."""
    _drop_index("portfolios", "user_id_1")
    _move("users", {"event_seq": {"$exists": True}}, _split_inboxes)
    _move("portfolios", {"user_id": {"$exists": True}}, _rename_portfolios)


def _split_inboxes(users: Sequence[Document]) -> None:
    fields = ("event_seq", "unread_count", "preferences")
    inboxes = [
        {"_id": user["client_id"], **{name: user[name] for name in fields if name in user}}
        for user in users
    ]
    collection("users").update_many(
        {"_id": {"$in": [user["_id"] for user in users]}},
        {"$unset": dict.fromkeys(fields, "")},
    )
    collection("inboxes").insert_many(inboxes)


def _rename_portfolios(portfolios: Sequence[Document]) -> None:
    renamed = []
    for portfolio in portfolios:
        rest = {name: portfolio[name] for name in portfolio if name not in ("_id", "user_id")}
        renamed.append({"_id": portfolio["user_id"], "portfolio_id": portfolio["_id"], **rest})
    collection("portfolios").delete_many(
        {"_id": {"$in": [portfolio["_id"] for portfolio in portfolios]}}
    )
    collection("portfolios").insert_many(renamed)


def _move(
    name: str,
    old: Document,
    move: Callable[[Sequence[Document]], None],
) -> None:
    """Have `move` rewrite the documents of a collection that are still as `old` says."""
    with pymongo.timeout(MIGRATION_SECONDS):
        ids = [each["_id"] for each in collection(name).find(old, {"_id": 1})]
    moved = 0
    for chunk in batched(ids, BATCH_SIZE):

        def write(chunk: Sequence[Any] = chunk) -> None:
            # Read in the transaction: another process may have moved them since they were listed.
            query = {"_id": {"$in": list(chunk)}, **old}
            if found := list(collection(name).find(query)):
                move(found)

        run_transaction(write, timeout_seconds=MIGRATION_SECONDS)
        moved += len(chunk)
        logger.info("%s: %d of %d moved", name, moved, len(ids))


def _drop_index(name: str, index: str) -> None:
    if index not in collection(name).index_information():
        return
    try:
        collection(name).drop_index(index)
    except OperationFailure as error:
        # Another process that is starting dropped it first.
        if error.code != INDEX_NOT_FOUND:
            raise


def _reserve_identities() -> None:
    """Shape 3: all spellings of an email address or client_id belong to one user.

    Of users of earlier versions that differ in spelling only, the oldest has what they share.
    """
    with pymongo.timeout(MIGRATION_SECONDS):
        fields = {"client_id": 1, "email": 1, "created_at": 1}
        users = sorted(collection("users").find({}, fields), key=lambda each: each["created_at"])
        owners: Document = {}
        for user in users:
            for name in (user["client_id"], user["email"]):
                owners.setdefault(identity_key(name), user["client_id"])
        documents = [{"_id": key, "client_id": client_id} for key, client_id in owners.items()]
        for chunk in batched(documents, BATCH_SIZE):
            try:
                collection("identities").insert_many(chunk, ordered=False)
            except BulkWriteError as error:
                # Reserved by another process, or by a start that was cut short.
                if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
                    raise


STEPS: dict[int, Callable[[], None]] = {2: _key_by_user, 3: _reserve_identities}
VERSION = max(STEPS)
