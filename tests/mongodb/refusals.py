"""What MongoDB refuses, and with which reply."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum

import bson

from tests.mongodb.command import ENDS_TRANSACTION, SYSTEM_DATABASES, Command
from tests.mongodb.report import Finding, refusal
from tests.mongodb.state import State
from tests.mongodb.wire import Document

MEGABYTE = 1024 * 1024
MAX_DOCUMENT_BYTES = 16 * MEGABYTE
# MongoDB cannot even parse a document above this: BSONObjMaxInternalSize.
MAX_PARSED_BYTES = MAX_DOCUMENT_BYTES + 16 * 1024
MAX_MESSAGE_BYTES = 48_000_000
MAX_OPERATIONS = 100_000
TRANSIENT = "TransientTransactionError"
IN_TRANSACTION = ENDS_TRANSACTION | {
    *("find", "getMore", "killCursors", "aggregate", "distinct"),
    *("insert", "update", "delete", "findAndModify", "bulkWrite"),
    *("create", "createIndexes"),
}
# https://www.mongodb.com/docs/atlas/unsupported-commands/, those an application may want.
NOT_ON_FREE_ATLAS = {
    *("killSessions", "killAllSessions", "killAllSessionsByPattern", "listSessions"),
    *("getParameter", "setParameter", "fsync", "compact", "getLog", "shutdown", "top"),
}


class Tier(StrEnum):
    REPLICA_SET = "replica set"
    STANDALONE = "standalone"
    ATLAS_FREE = "free or flex tier of Atlas"


def find_refusal(command: Command, state: State, tier: Tier) -> Finding | None:
    """Return why MongoDB would refuse this command; None if it would not."""
    return _refused_by_tier(command, tier) or next(
        (finding for check in CHECKS for finding in check(command, state)), None
    )


def _refused_by_tier(command: Command, tier: Tier) -> Finding | None:
    name = command.name
    if tier is Tier.ATLAS_FREE and name in NOT_ON_FREE_ATLAS:
        reply = refusal(8000, "AtlasError", f"{name} is not allowed in this atlas tier")
        return Finding("atlas-free", name, reply)
    if tier is Tier.STANDALONE and "txnNumber" in command.body:
        message = "Transaction numbers are only allowed on a replica set member or mongos"
        return Finding("standalone", command.shape, refusal(20, "IllegalOperation", message))
    return None


def _not_in_transaction(command: Command, _: State) -> Iterator[Finding]:
    if not command.in_transaction:
        return
    is_system = command.is_write and command.database in SYSTEM_DATABASES
    if command.name not in IN_TRANSACTION or is_system:
        message = f"Cannot run '{command.name}' in a multi-document transaction."
        reply = refusal(263, "OperationNotSupportedInTransaction", message)
        yield Finding("transaction-command", command.shape, reply)


def _concern_in_transaction(command: Command, _: State) -> Iterator[Finding]:
    if not command.in_transaction:
        return
    wrong = []
    if "readConcern" in command.body and not command.starts_transaction:
        wrong.append("readConcern after the first statement")
    if "writeConcern" in command.body and command.name not in ENDS_TRANSACTION:
        wrong.append("writeConcern before the last statement")
    for what in wrong:
        reply = refusal(72, "InvalidOptions", f"{what} of a transaction")
        yield Finding("transaction-concern", f"{command.shape}: {what}", reply)


def _ddl_in_transaction(command: Command, state: State) -> Iterator[Finding]:
    if not command.in_transaction or command.name not in ("create", "createIndexes"):
        return
    transaction = state.transaction(command)
    concern = transaction.read_concern if transaction else command.read_concern
    if command.starts_transaction:
        concern = command.read_concern
    if concern not in (None, "local"):
        message = f"{command.name} in a transaction needs the read concern local"
        yield Finding("transaction-ddl", command.shape, refusal(72, "InvalidOptions", message))
    elif command.name == "createIndexes" and command.namespace in state.collections:
        message = "Cannot create new indexes on an existing collection in a transaction"
        reply = refusal(263, "OperationNotSupportedInTransaction", message)
        yield Finding("transaction-ddl", command.shape, reply)


def _lifetime(command: Command, state: State) -> Iterator[Finding]:
    transaction = state.transaction(command)
    if command.starts_transaction or transaction is None or not state.is_expired(transaction):
        return
    if command.name != "abortTransaction":
        reply = refusal(251, "NoSuchTransaction", "the transaction has been aborted", TRANSIENT)
        yield Finding("lifetime", command.shape, reply)


def _lock(command: Command, state: State) -> Iterator[Finding]:
    """Refuse a transaction that needs a lock for which a change of the collection waits.

    A transaction that has the lock already continues; the change waits for it.
    """
    if not command.in_transaction or not command.collection:
        return
    transaction = None if command.starts_transaction else state.transaction(command)
    has_lock = transaction is not None and command.namespace in transaction.locked
    change = None if has_lock else state.waiting_change(command.namespace)
    if change is not None:
        message = "Unable to acquire lock within a max lock request timeout of '5ms' milliseconds"
        reply = refusal(24, "LockTimeout", message, TRANSIENT)
        yield Finding("lock", f"{command.shape} behind {change}", reply)


def _size(command: Command, _: State) -> Iterator[Finding]:
    if command.size > MAX_MESSAGE_BYTES:
        reply = refusal(17, "ProtocolError", f"the message has {command.size} bytes")
        yield Finding("too-large", f"{command.shape}: message", reply)
    if command.is_write and len(command.operations) > MAX_OPERATIONS:
        reply = refusal(16, "InvalidLength", "Write batch sizes must be between 1 and 100000.")
        yield Finding("too-large", f"{command.shape}: operations", reply)
    if command.name == "insert" and command.size > MAX_DOCUMENT_BYTES:
        for index, document in enumerate(command.operations):
            oversize = _oversize(index, len(bson.encode(document)))
            if oversize is not None:
                yield Finding("too-large", f"{command.shape}: document", oversize)


def _oversize(index: int, size: int) -> Document | None:
    if size > MAX_PARSED_BYTES:
        return refusal(10334, "BSONObjectTooLarge", f"BSONObj size: {size} is invalid")
    if size > MAX_DOCUMENT_BYTES:
        message = f"object to insert too large. size in bytes: {size}"
        return {"ok": 1.0, "n": 0, "writeErrors": [{"index": index, "code": 2, "errmsg": message}]}
    return None


def _hint(command: Command, state: State) -> Iterator[Finding]:
    known = state.indexes.get(command.namespace, {})
    for hint in command.hints():
        is_known = hint in known if isinstance(hint, str) else tuple(hint) in known.values()
        if not is_known and hint != "_id_" and tuple(hint) not in (("_id",), ("$natural",)):
            message = "planner returned error :: caused by :: hint provided does not correspond"
            reply = refusal(2, "BadValue", f"{message} to an existing index")
            yield Finding("hint", f"{command.shape} {hint}", reply)


CHECKS: tuple[Callable[[Command, State], Iterator[Finding]], ...] = (
    _size,
    _not_in_transaction,
    _concern_in_transaction,
    _ddl_in_transaction,
    _lifetime,
    _lock,
    _hint,
)
