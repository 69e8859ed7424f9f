"""Transactions: `run_transaction` is the only way to write several documents atomically."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import inf
from typing import Any, Generic, TypeVar

import pymongo
from flask import Flask, current_app
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern

from app.database import (
    ELECTION_SECONDS,
    Document,
    database,
    transaction_may_be_open,
    without_concerns,
)
from app.metrics import metrics
from app.tracing import span

T = TypeVar("T")

# WriteConflict, and LockTimeout: another transaction has changed or locked the same documents.
CONFLICTS = frozenset({112, 24})
# The errors that a single document or statement causes, and that a retry meets again:
# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
OWN_FAULTS = frozenset(
    {
        2,  # BadValue
        9,  # FailedToParse
        14,  # TypeMismatch
        121,  # DocumentValidationFailure
        10334,  # BSONObjectTooLarge
        11000,  # DuplicateKey
        17419,  # an update would make its document too large
    }
)
OUTAGE_LABELS = (
    "TransientTransactionError",
    "UnknownTransactionCommitResult",
    "RetryableWriteError",
    "SystemOverloadedError",
)

# By default PyMongo retries a conflicting transaction for up to 120 s, much longer than a client
# waits for its response.
TRANSACTION_TIMEOUT_SECONDS = ELECTION_SECONDS
OPTIONS: dict[str, Any] = {
    "read_concern": ReadConcern("snapshot"),
    "write_concern": WriteConcern("majority", j=True),
    "read_preference": ReadPreference.PRIMARY,
}
# Transactions of one process at a time; the others wait for their turn. Never more than half of the
# connections, so that reads do not wait for one.
MAX_TRANSACTIONS = 16
EXTENSION = "paper_trading.transactions"
_conflict_seconds: ContextVar[float] = ContextVar("seconds to retry conflicts", default=inf)


class _AlreadyCommitted(Exception):
    """The transaction to retry turned out to be committed."""


class WriteConflict(ExecutionTimeout):
    """Other transactions kept changing or locking the same documents.

    PyMongo itself raises the same error for this as for a database that does not respond.
    """


@dataclass(frozen=True, slots=True)
class _TransactionState:
    """What the transactions of one application share."""

    # One for each transaction that may run now.
    turns: threading.Semaphore
    # Locks by hash of the user: for speed alone, the database decides which transaction wins.
    user_locks: tuple[threading.Lock, ...] = field(
        default_factory=lambda: tuple(threading.Lock() for _ in range(1024))
    )
    # Sessions whose transaction could not be aborted. Their writes stay locked until they are
    # killed, by default for a minute.
    orphaned_sessions: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=1_000))
    # Users whose transaction failed after its commit was sent.
    unknown_outcomes: set[str] = field(default_factory=set)


def init_app(app: Flask) -> None:
    """Give the application its transaction state."""
    connections = database().client.options.pool_options.max_pool_size or inf
    turns = int(min(max(connections // 2, 1), MAX_TRANSACTIONS))
    app.extensions[EXTENSION] = _TransactionState(threading.Semaphore(turns))


def run_transaction(
    work: Callable[[], T],
    *,
    already_committed: Callable[[T], bool] | None = None,
    user_ids: Collection[str] = (),
    timeout_seconds: float = TRANSACTION_TIMEOUT_SECONDS,
) -> T:
    """Run `work` in one transaction and return its result once that is durable.

    Every database operation of `work` joins the transaction: the session is bound to the context.
    `work` may run several times, so it has no effect outside the database. An exception from it
    aborts the transaction. Conflicts are retried for `timeout_seconds`; then WriteConflict is
    raised. Transactions of this process that name one of the same `user_ids` wait for each other,
    and no more than MAX_TRANSACTIONS run at once; ExecutionTimeout is raised after as long a wait.

    If the database crashes between a commit and its reply, `work` runs again, unless
    `already_committed` says that its previous result is in the database: that is then returned.
    """
    client = database().client
    state: _TransactionState = current_app.extensions[EXTENSION]
    attempts = _Attempts(work, already_committed)
    with (
        _counted(attempts),
        _locked(state, user_ids, timeout_seconds),
        pymongo.timeout(timeout_seconds),
        client.start_session() as session,
    ):
        if state.orphaned_sessions:
            _end_orphaned_sessions(state, client)
        try:
            with session.bind(end_session=False), without_concerns():
                return session.with_transaction(attempts, **OPTIONS)
        except _AlreadyCommitted:
            return attempts.results[-1]
        except BaseException as error:
            _note_failure(state, error, session, user_ids if attempts.results else ())
            if attempts.is_conflict(error) and not isinstance(error, WriteConflict):
                raise WriteConflict(str(error), 50) from error
            raise


@dataclass(slots=True)
class _Attempts(Generic[T]):
    """The attempts of one transaction; each call is one."""

    work: Callable[[], T]
    already_committed: Callable[[T], bool] | None
    results: list[T] = field(default_factory=list)
    conflict_at: float | None = None
    count: int = 0

    def __call__(self, _: ClientSession) -> T:
        self.count += 1
        # SecantusDB: forgets in a crash which transactions were committed. MongoDB remembers, and
        # would answer a repeated commit itself.
        if self.results and self.already_committed and self.already_committed(self.results[-1]):
            raise _AlreadyCommitted
        now = time.monotonic()
        if self.conflict_at is not None and now - self.conflict_at >= _conflict_seconds.get():
            raise WriteConflict("other transactions kept changing the same documents", 50)
        try:
            self.results.append(self.work())
        except OperationFailure as error:
            if self.conflict_at is None and _codes(error) & CONFLICTS:
                self.conflict_at = now
            raise
        return self.results[-1]

    def is_conflict(self, error: BaseException) -> bool:
        """Return whether PyMongo's `error` ended attempts that met conflicts."""
        return (
            self.conflict_at is not None
            and isinstance(error, PyMongoError)
            and error.timeout
            and not error.has_error_label("UnknownTransactionCommitResult")
        )


@contextmanager
def conflicts_limited(seconds: float) -> Iterator[None]:
    """Have transactions retry conflicts, and wait for several users, for `seconds` at most."""
    token = _conflict_seconds.set(seconds)
    try:
        yield
    finally:
        _conflict_seconds.reset(token)


def resolve_unknown_outcomes(resolve: Callable[[str], object]) -> None:
    """Call `resolve` with each user whose last transaction may be committed without a reply.

    A user for whom it raises is kept for the next call.
    """
    unknown_outcomes: set[str] = current_app.extensions[EXTENSION].unknown_outcomes
    for user_id in list(unknown_outcomes):
        # Removed first, so that an outcome that becomes unknown meanwhile stays.
        unknown_outcomes.discard(user_id)
        try:
            resolve(user_id)
        except BaseException:
            unknown_outcomes.add(user_id)
            raise


def _note_failure(
    state: _TransactionState,
    error: BaseException,
    session: ClientSession,
    committing: Collection[str],
) -> None:
    """Note what a failed transaction may leave: its locks, and a commit without a reply.

    `committing` are its users, none if no commit was sent.
    """
    if transaction_may_be_open():
        state.orphaned_sessions.append(session.session_id)
    if isinstance(error, PyMongoError) and is_outage(error):
        state.unknown_outcomes.update(committing)


@contextmanager
def _counted(attempts: _Attempts[T]) -> Iterator[None]:
    result = "aborted"
    try:
        with span("transaction"):
            yield
        result = "committed"
    except PyMongoError:
        result = "failed"
        raise
    finally:
        metrics().transactions.labels(result).inc()
        metrics().transaction_retries.inc(max(attempts.count - 1, 0))


def _end_orphaned_sessions(state: _TransactionState, client: MongoClient[Document]) -> None:
    sessions = list(state.orphaned_sessions)
    try:
        client.admin.command("killSessions", sessions)
    except PyMongoError as error:
        if isinstance(error, ConnectionFailure) or error.timeout:
            # The next transaction tries again.
            return
        # Atlas refuses it on its Free and Flex tiers, other servers to a limited role. The
        # database then ends the transactions when they expire.
    for session in sessions:
        # Another thread may have removed it; killing a session twice does no harm.
        with suppress(ValueError):
            state.orphaned_sessions.remove(session)


@contextmanager
def _locked(
    state: _TransactionState, users: Collection[str], timeout_seconds: float
) -> Iterator[None]:
    locks = state.user_locks
    deadline = locked_by = time.monotonic() + timeout_seconds
    if len(users) > 1:
        # Those of a single user queue here, and all of them succeed.
        locked_by = min(deadline, time.monotonic() + _conflict_seconds.get())
    with ExitStack() as taken:
        # Sorted, so that two transactions never wait for each other.
        for number in sorted({hash(user_id) % len(locks) for user_id in users}):
            if not locks[number].acquire(timeout=_seconds_to(locked_by)):
                raise WriteConflict("other transactions of the same user took too long", 50)
            taken.callback(locks[number].release)
        # Last: a transaction that waits for a user takes no turn from others.
        if not state.turns.acquire(timeout=_seconds_to(deadline)):
            raise ExecutionTimeout("too many other transactions ran first", 50)
        taken.callback(state.turns.release)
        yield


def _seconds_to(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0)


def is_outage(error: PyMongoError) -> bool:
    """Return whether the operation may succeed later, unchanged.

    So it is for every error that the documents and statements themselves do not cause: MongoDB has
    hundreds of codes for its states, and Atlas and proxies add their own.
    """
    if any(error.has_error_label(label) for label in OUTAGE_LABELS):
        return True
    codes = _codes(error)
    return not codes or not codes <= OWN_FAULTS


def name_error(error: PyMongoError) -> str:
    """Return the class and the code of an error, for a log: its message may quote documents."""
    code = error.code if isinstance(error, OperationFailure) else None
    return type(error).__name__ if code is None else f"{type(error).__name__} {code}"


def _codes(error: PyMongoError) -> set[int | None]:
    """Return the server's codes of an error; a bulk write has one for each failure."""
    if isinstance(error, BulkWriteError):
        details = error.details
        failures = [*details["writeErrors"], *details["writeConcernErrors"]]
        return {failure.get("code") for failure in failures}
    return {error.code} if isinstance(error, OperationFailure) else set()
