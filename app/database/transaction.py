"""The one way that several writes become one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pymongo
from pymongo import ReadPreference, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.errors import ConnectionFailure, ExecutionTimeout, PyMongoError
from pymongo.read_concern import ReadConcern

from app.database import database
from app.domain.errors import DatabaseUnavailable

T = TypeVar("T")

# PyMongo retries a conflicting transaction for up to 120 s by itself, far past the patience of
# anyone who waits for the answer.
TRANSACTION_SECONDS = 10
DURABLE = WriteConcern("majority", j=True)
SNAPSHOT = ReadConcern("snapshot")
# A lock for every so many users: they are for speed alone, the database decides who wins.
_TURNS = tuple(threading.Lock() for _ in range(256))


def run_transaction(
    work: Callable[[ClientSession], T],
    *,
    user_id: str | None = None,
    seconds: float = TRANSACTION_SECONDS,
) -> T:
    """Run `work` in one transaction and return what it returns, once that is durable.

    `work` may be called several times, so it changes nothing but the database, and passes its
    session to everything it calls. An exception from it aborts the transaction. Conflicts are
    retried for `seconds`; then the last PyMongoError is raised. Transactions of one `user_id`
    wait for each other rather than conflict, as far as they are in this process.
    """
    client = database().client
    with _turn(user_id, seconds), client.start_session() as session, pymongo.timeout(seconds):
        return session.with_transaction(
            work,
            read_concern=SNAPSHOT,
            write_concern=DURABLE,
            read_preference=ReadPreference.PRIMARY,
        )


@contextmanager
def _turn(user_id: str | None, seconds: float) -> Iterator[None]:
    if user_id is None:
        yield
        return
    turn = _TURNS[hash(user_id) % len(_TURNS)]
    if not turn.acquire(timeout=seconds):
        raise DatabaseUnavailable("The database is too busy right now. Try again shortly.")
    try:
        yield
    finally:
        turn.release()


def is_outage(error: PyMongoError) -> bool:
    """Tell a database that is away, or too busy to finish, from a fault in what it was asked."""
    return (
        isinstance(error, (ConnectionFailure, ExecutionTimeout))
        or error.timeout
        or error.has_error_label("TransientTransactionError")
        or error.has_error_label("UnknownTransactionCommitResult")
    )
