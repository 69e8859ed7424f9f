"""What the proxy knows of the server: its collections, indexes and open transactions."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.mongodb.command import ENDS_TRANSACTION, Command, Namespace
from tests.mongodb.wire import Document

# MongoDB's transactionLifetimeLimitSeconds.
LIFETIME_SECONDS = 60.0
TAKES_EXCLUSIVE_LOCK = frozenset(
    {"createIndexes", "dropIndexes", "drop", "dropDatabase", "collMod", "renameCollection"}
)


@dataclass
class Transaction:
    began: float
    read_concern: str | None
    locked: set[Namespace] = field(default_factory=set)
    written: Counter[str] = field(default_factory=Counter)
    # The values of the shard key in its writes: each user may be on a shard of its own.
    shard_keys: set[str] = field(default_factory=set)


class State:
    """Shared by the connections of a proxy."""

    def __init__(self, lifetime_seconds: float = LIFETIME_SECONDS) -> None:
        self.lifetime_seconds = lifetime_seconds
        # The fields of each index by its name.
        self.indexes: dict[Namespace, dict[str, tuple[str, ...]]] = {}
        # The fields that a filter must have for a partial index, by its name.
        self.partial: dict[Namespace, dict[str, set[str]]] = {}
        self.collections: set[Namespace] = set()
        self.transactions: dict[bytes, Transaction] = {}
        # Locks that a change of a collection waits for. The collection "" is the whole database.
        self.waiting_locks: list[tuple[Namespace, str]] = []
        self.changed = threading.Condition()

    def transaction(self, command: Command) -> Transaction | None:
        return self.transactions.get(command.session) if command.in_transaction else None

    def is_expired(self, transaction: Transaction) -> bool:
        return time.monotonic() - transaction.began >= self.lifetime_seconds

    def waiting_change(self, namespace: Namespace) -> str | None:
        """Return the command that waits for the lock of the collection or its database."""
        wanted = (namespace, (namespace[0], ""))
        return next((name for locked, name in self.waiting_locks if locked in wanted), None)

    def begin(self, command: Command) -> None:
        """Note a statement before it runs."""
        with self.changed:
            if command.starts_transaction:
                self.transactions[command.session] = Transaction(
                    time.monotonic(), command.read_concern
                )
            transaction = self.transaction(command)
            if transaction and command.collection:
                transaction.locked.add(command.namespace)

    def end(self, command: Command, reply: Document) -> None:
        """Note the outcome of a command."""
        failed = not reply.get("ok") or bool(reply.get("writeErrors"))
        with self.changed:
            if command.in_transaction and (failed or command.name in ENDS_TRANSACTION):
                self.transactions.pop(command.session, None)
            if command.name in ("killSessions", "endSessions"):
                for session in command.body[command.name]:
                    self.transactions.pop(bytes(session["id"]), None)
            if not failed:
                self._note_change(command)
            self.changed.notify_all()

    def forget(self, command: Command) -> None:
        """Note that the transaction of a command has been aborted."""
        with self.changed:
            self.transactions.pop(command.session, None)
            self.changed.notify_all()

    def _note_change(self, command: Command) -> None:
        match command.name:
            case "createIndexes":
                known = self.indexes.setdefault(command.namespace, {})
                known |= {each["name"]: tuple(each["key"]) for each in command.body["indexes"]}
                self.partial.setdefault(command.namespace, {}).update(
                    {
                        each["name"]: set(each.get("partialFilterExpression", {}))
                        for each in command.body["indexes"]
                    }
                )
                self.collections.add(command.namespace)
            case "dropIndexes":
                self._forget_index(command.namespace, command.body["index"])
            case "drop":
                self.indexes.pop(command.namespace, None)
                self.collections.discard(command.namespace)
            case "dropDatabase":
                self.collections = {
                    each for each in self.collections if each[0] != command.database
                }
                for each in [each for each in self.indexes if each[0] == command.database]:
                    del self.indexes[each]
            case "insert" | "update" | "findAndModify" | "create":
                self.collections.add(command.namespace)

    def _forget_index(self, namespace: Namespace, name: Any) -> None:
        if name == "*":
            self.indexes.pop(namespace, None)
        else:
            self.indexes.get(namespace, {}).pop(str(name), None)

    def needs_exclusive_lock(self, command: Command) -> bool:
        """Return whether the command changes a collection itself.

        MongoDB finds indexes that exist already without an exclusive lock.
        """
        if command.name == "createIndexes":
            known = self.indexes.get(command.namespace, {})
            return any(each["name"] not in known for each in command.body["indexes"])
        return command.name in TAKES_EXCLUSIVE_LOCK

    def wait_for_lock(self, command: Command) -> bool:
        """Wait for the transactions on a collection; return whether they ended in time."""
        database, collection = command.namespace
        limit = command.body.get("maxTimeMS")
        deadline = time.monotonic() + limit / 1000 if limit else float("inf")
        with self.changed:
            self.waiting_locks.append((command.namespace, command.name))
            self.changed.notify_all()
            try:
                while self._is_locked(database, collection):
                    if time.monotonic() >= deadline:
                        return False
                    # A transaction that expires notifies no one.
                    self.changed.wait(0.05)
            finally:
                self.waiting_locks.remove((command.namespace, command.name))
        return True

    def _is_locked(self, database: str, collection: str) -> bool:
        return any(
            locked[0] == database and collection in ("", locked[1])
            for transaction in self.transactions.values()
            if not self.is_expired(transaction)
            for locked in transaction.locked
        )
