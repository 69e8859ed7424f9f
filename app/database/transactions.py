"""The one way that several writes become one."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeVar

import pymongo
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.errors import (
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern

from app.database import Document, database

T = TypeVar("T")

WRITE_CONFLICT = 112
# InternalError, as which SecantusDB reports a disk without room, and MongoDB's OutOfDiskSpace.
SERVER_FAULTS = frozenset({1, 14031})

# PyMongo retries a conflicting transaction for up to 120 s by itself, far past the patience of
# anyone who waits for the answer.
TRANSACTION_SECONDS = 10
DURABLE = WriteConcern("majority", j=True)
SNAPSHOT = ReadConcern("snapshot")
# A lock for every so many users: they are for speed alone, the database decides who wins.
_USER_LOCKS = tuple(threading.Lock() for _ in range(256))
# Sessions whose transaction could not be ended, because the database was away. Until it is told
# to, it keeps what they wrote locked: for a minute, by its default.
_orphaned_sessions: deque[Mapping[str, Any]] = deque(maxlen=1_000)
# Users whose transaction failed after its commit had been asked for.
_unknown_outcomes: set[str] = set()


class _AlreadyCommitted(Exception):
    """What was to be done again has been done."""


def run_transaction(
    work: Callable[[ClientSession], T],
    *,
    already_committed: Callable[[T, ClientSession], bool] | None = None,
    user_ids: Collection[str] = (),
    seconds: float = TRANSACTION_SECONDS,
) -> T:
    """Run `work` in one transaction and return what it returns, once that is durable.

    `work` may be called several times, so it changes nothing but the database, and passes its
    session to everything it calls. An exception from it aborts the transaction. Conflicts are
    retried for `seconds`; then the last PyMongoError is raised. Transactions that change
    documents of the same `user_ids` wait for each other rather than conflict, as far as they
    are in this process.

    A database that crashed between a commit and its reply may know nothing of that commit
    afterwards: `work` is run again. If running it twice differs from running it once, pass
    `already_committed`: it returns whether the last result of `work` has been committed.
    """
    client = database().client
    results: list[T] = []

    def work_unless_done(session: ClientSession) -> T:
        if results and already_committed is not None and already_committed(results[-1], session):
            raise _AlreadyCommitted
        results.append(work(session))
        return results[-1]

    with (
        _user_locks(user_ids, seconds),
        client.start_session() as session,
        pymongo.timeout(seconds),
    ):
        _end_orphaned_sessions(client)
        try:
            return session.with_transaction(
                work_unless_done,
                read_concern=SNAPSHOT,
                write_concern=DURABLE,
                read_preference=ReadPreference.PRIMARY,
            )
        except _AlreadyCommitted:
            return results[-1]
        except PyMongoError as error:
            if isinstance(error, ConnectionFailure) or error.timeout:
                _orphaned_sessions.append(session.session_id)
                if results:
                    _unknown_outcomes.update(user_ids)
            raise


def resolve_unknown_outcomes(resolve: Callable[[str], object]) -> None:
    """Call `resolve` with each user whose last transaction may have been committed all the same.

    One for whom it raises stays in doubt.
    """
    for user_id in list(_unknown_outcomes):
        # Before: what becomes doubtful meanwhile is to stay so.
        _unknown_outcomes.discard(user_id)
        try:
            resolve(user_id)
        except BaseException:
            _unknown_outcomes.add(user_id)
            raise


def _end_orphaned_sessions(client: MongoClient[Document]) -> None:
    sessions = list(_orphaned_sessions)
    if sessions:
        client.admin.command("killSessions", sessions)
        for each in sessions:
            # Another thread may have been as quick; ending one twice does no harm.
            with suppress(ValueError):
                _orphaned_sessions.remove(each)


@contextmanager
def _user_locks(users: Collection[str], seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    with ExitStack() as taken:
        # In one order everywhere, so that no two wait for what the other has.
        for number in sorted({hash(user_id) % len(_USER_LOCKS) for user_id in users}):
            if not _USER_LOCKS[number].acquire(timeout=max(deadline - time.monotonic(), 0)):
                raise ExecutionTimeout("other transactions of the same user took too long")
            taken.callback(_USER_LOCKS[number].release)
        yield


def is_conflict(error: Exception) -> bool:
    """Tell whether others kept changing what a transaction wanted to change."""
    return isinstance(error, OperationFailure) and error.code == WRITE_CONFLICT


def is_outage(error: PyMongoError) -> bool:
    """Tell a database that is away, or too busy to finish, from a fault in what it was asked."""
    return (
        isinstance(error, (ConnectionFailure, ExecutionTimeout))
        or (isinstance(error, OperationFailure) and error.code in SERVER_FAULTS)
        or error.timeout
        or error.has_error_label("TransientTransactionError")
        or error.has_error_label("UnknownTransactionCommitResult")
    )
