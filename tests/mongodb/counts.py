"""What MongoDB allows, though it weakens a guarantee or costs more there than here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.mongodb.command import READS, SYSTEM_DATABASES, Command, Statement
from tests.mongodb.report import Finding
from tests.mongodb.state import State

# The shard keys of docs/performance.md; collections without one stay on one shard.
SHARD_KEYS = {
    "trades": ("user_id",),
    "alerts": ("user_id",),
    "notifications": ("user_id",),
    "portfolios": ("user_id",),
    "inboxes": ("_id",),
    "answers": ("_id", "user_id"),
}
MAX_TRANSACTION_DOCUMENTS = 1_000


def find_counted(command: Command, state: State) -> Iterator[Finding]:
    """Yield what is against a counted rule."""
    if command.database not in SYSTEM_DATABASES or command.name == "commitTransaction":
        for check in CHECKS:
            yield from check(command, state)


def _read_preference(command: Command, _: State) -> Iterator[Finding]:
    mode = (command.body.get("$readPreference") or {}).get("mode", "primary")
    if mode != "primary":
        yield Finding("read-preference", f"{command.shape}: {mode}")


def _concern(command: Command, _: State) -> Iterator[Finding]:
    if command.in_transaction:
        return
    concern = command.body.get("writeConcern") or {}
    if command.is_write and concern.get("w") != "majority":
        yield Finding("write-concern", command.shape)
    if command.name in READS and command.read_concern not in ("majority", "snapshot"):
        yield Finding("read-concern", command.shape)


def _index_time_limit(command: Command, _: State) -> Iterator[Finding]:
    if command.name == "createIndexes" and "maxTimeMS" in command.body:
        yield Finding("index-time-limit", command.shape)


def _implicit_creation(command: Command, state: State) -> Iterator[Finding]:
    if not command.in_transaction or command.namespace in state.collections:
        return
    if command.name == "insert" or any(each.is_upsert for each in command.statements()):
        yield Finding("implicit-creation", command.shape)


def _transaction_size(command: Command, state: State) -> Iterator[Finding]:
    transaction = state.transaction(command)
    if transaction is None:
        return
    if command.is_write:
        transaction.written[command.collection] += _documents_written(command)
    elif command.name == "commitTransaction":
        if transaction.written.total() > MAX_TRANSACTION_DOCUMENTS:
            yield Finding("transaction-size", " ".join(sorted(transaction.written)))
        if len(transaction.shard_keys) > 1:
            yield Finding("transaction-across-shards", " ".join(sorted(transaction.written)))


def _documents_written(command: Command) -> int:
    """Return how many documents a write may change, as far as its filters name them."""
    if command.name == "insert":
        return len(command.operations)
    ids: list[Any] = [each.filter.get("_id") for each in command.statements()]
    return sum(len(value["$in"]) if _is_choice(value) else 1 for value in ids)


def _collection_scan(command: Command, state: State) -> Iterator[Finding]:
    if command.namespace not in state.collections:
        # Dropped, or not created yet: there is nothing to read.
        return
    indexes = state.indexes.get(command.namespace, {}).values()
    prefixes = {fields[0] for fields in indexes} | {"_id"}
    for statement in command.statements():
        fields = set(statement.filter)
        if fields and not fields & prefixes and not fields & {"$or", "$and"}:
            yield Finding("collection-scan", _with_fields(command, statement))


def _shards(command: Command, state: State) -> Iterator[Finding]:
    path = SHARD_KEYS.get(command.collection)
    if path is None:
        return
    transaction = state.transaction(command)
    keys = [{_value(each, path)} for each in command.operations] if command.name == "insert" else []
    for statement in command.statements():
        value = _value(statement.filter, path)
        if value is None or (isinstance(value, dict) and not _is_choice(value)):
            yield Finding("broadcast", _with_fields(command, statement))
            if statement.is_upsert:
                yield Finding("upsert-without-shard-key", _with_fields(command, statement))
        else:
            keys.append(set(value["$in"]) if _is_choice(value) else {value})
    if transaction and command.is_write:
        transaction.shard_keys.update(str(value) for each in keys for value in each)


def _value(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _is_choice(value: Any) -> bool:
    return isinstance(value, dict) and "$in" in value


def _with_fields(command: Command, statement: Statement) -> str:
    return f"{command.shape} by {', '.join(sorted(statement.filter)) or 'nothing'}"


def _index_choice(command: Command, state: State) -> Iterator[Finding]:
    for statement in command.statements():
        if not statement.hint and len(_candidates(command, statement, state)) > 1:
            yield Finding("index-choice", _with_fields(command, statement))


def _candidates(command: Command, statement: Statement, state: State) -> set[tuple[str, ...]]:
    """Return the fields of each index that the planner considers."""
    fields = statement.filter.keys()
    partial = state.partial.get(command.namespace, {})
    found = {
        index
        for name, index in state.indexes.get(command.namespace, {}).items()
        if index[0] in fields and partial.get(name, set()) <= fields
    }
    if "_id" not in fields:
        return found
    is_equal = not isinstance(statement.filter["_id"], dict) or not any(
        key.startswith("$") for key in statement.filter["_id"]
    )
    # Equality on a unique index of one field excludes every other index, unless a projection might
    # be covered by one of them.
    return {("_id",)} if is_equal and not statement.is_projected else found | {("_id",)}


CHECKS: tuple[Callable[[Command, State], Iterator[Finding]], ...] = (
    _read_preference,
    _concern,
    _index_time_limit,
    _implicit_creation,
    _transaction_size,
    _collection_scan,
    _index_choice,
    _shards,
)
