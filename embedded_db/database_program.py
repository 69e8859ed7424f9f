# SPDX-License-Identifier: GPL-2.0-only
"""SecantusDB as a program of its own, whose only user has a password from a file.

`database_program.py [--secret-file FILE] FLAGS`, with the flags of `secantusd-py`. With a secret
only clients that know it are served, and SCRAM proves to each of them that this is its database.

This file imports SecantusDB and is therefore under its licence. The server imports neither: it
starts this program and reaches it over the MongoDB wire protocol.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import wiredtiger
from secantus import SecantusDBServer
from secantus import storage as tables
from secantus.auth import SCRAM_SHA_256, derive_credentials
from secantus.cli import build_parser
from secantus.sortkey import encode_id_key
from secantus.storage import Storage
from secantus.transactions import TransactionRegistry, TxnState

USER = "paper_trading"
USERS_DATABASE = "admin"
# PyMongo's minimum; the secret is random, so more would add nothing.
ITERATIONS = 4096
# The tables that grow with the documents, as SecantusDB creates them.
GROWING_TABLES = {
    **{
        tables._doc_shard_name(number): tables._DOC_SHARD_CFG
        for number in range(tables._DOC_SHARDS)
    },
    tables._NAT_SEQ_TABLE: "key_format=SSu,value_format=q",
    tables._IDX_ENTRIES_TABLE: "key_format=SSSu,value_format=u",
    tables._UNIQ_TABLE: "key_format=SSSu,value_format=q",
}
# The wheel for Windows has no lz4.
HAS_LZ4 = platform.system() != "Windows"
COMPRESSION = "prefix_compression=true" + (",block_compressor=lz4" if HAS_LZ4 else "")
JOURNAL = "log=(enabled=true,file_max=10MB,prealloc=false)"


class Transactions(TransactionRegistry):  # type: ignore[misc]
    """The open transactions; a search for idle ones waits for none that runs a statement.

    SecantusDB 0.7.0b3 does wait, and every write waits with it. A plain update of many documents
    keeps its collection while it waits for the commit of a transaction. If another transaction
    waits for this collection meanwhile, that commit waits as well, and nothing is written any more.
    """

    def _prune_locked(self) -> int:
        oldest = self._time() - self._lifetime
        ended = 0
        for transaction in self._txns.values():
            if transaction.last_use >= oldest or not transaction.mutex.acquire(blocking=False):
                continue
            try:
                if transaction.state is TxnState.IN_PROGRESS:
                    self._rollback_quietly(transaction)
                    transaction.state = TxnState.ABORTED
                    ended += 1
            finally:
                transaction.mutex.release()
        return ended


class CorrectedStorage(Storage):  # type: ignore[misc]
    """The documents, with two corrections of how they are found and read."""

    def _try_index_id_keys(
        self, db: str, coll: str, filter: dict[str, Any], *, collation: Any = None
    ) -> list[Any] | None:
        """Find a document that a filter names by its `_id`.

        SecantusDB 0.7.0b3 scans the collection if the `_id` is itself a document, and for
        `findAndModify`: after it has found a document, it updates it by its `_id` and `$and` the
        query.
        """
        # The caller compares what is returned with the whole filter.
        if filter.keys() == {"_id", "$and"}:
            filter = {"_id": filter["_id"]}
        id = filter.get("_id") if len(filter) == 1 else None
        if isinstance(id, dict) and not any(name.startswith("$") for name in id):
            found = self._doc_recordid(db, coll, encode_id_key(id))
            return [] if found is None else [found]
        keys: list[Any] | None = super()._try_index_id_keys(db, coll, filter, collation=collation)
        return keys

    def _cursor(self, table: str, *, overwrite: bool = True) -> Any:
        """Return a cursor whose position is given up with the lock: see PositionLock."""
        cursor = super()._cursor(table, overwrite=overwrite)
        self._tls.__dict__.setdefault("positioned", {})[id(cursor)] = cursor
        return cursor

    def release_positions(self) -> None:
        """Reset the cursors that the calling thread has used."""
        positioned: dict[int, Any] = self._tls.__dict__.get("positioned", {})
        while positioned:
            with suppress(Exception):
                positioned.popitem()[1].reset()


class PositionLock:
    """The lock of the documents, reentrant. A thread that releases it gives up its positions.

    In SecantusDB 0.7.0b3 a thread keeps its positions while it waits for this lock, to end its
    statement or for the next one of its transaction. WiredTiger can then not evict a page that has
    grown too large, and who reads it tries ten times, with pauses, and with this lock. Meanwhile
    more threads wait with positions, so that this does not end.
    """

    def __init__(self, storage: CorrectedStorage) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._storage = storage

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1

    def __exit__(self, *_error: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._storage.release_positions()
        self._lock.release()


def serve(secret: str | None, flags: list[str]) -> None:
    """Run the database with these flags until the process ends."""
    server = build_server(secret, flags)
    server.start()
    # The supervisor waits for this line.
    print("ready", flush=True)
    server.wait()


def create_compressed_tables(folder: Path) -> None:
    """Create the tables that grow in a new data folder, with compression.

    SecantusDB 0.7.0b3 compresses nothing, and the key of each index entry repeats the names of the
    database, the collection and the index. It leaves tables that exist as they are, so the folders
    of earlier versions stay without compression.
    """
    if (folder / "WiredTiger").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    connection = wiredtiger.wiredtiger_open(str(folder), f"create,{JOURNAL}")
    try:
        session = connection.open_session()
        for name, formats in GROWING_TABLES.items():
            session.create(name, f"{formats},{COMPRESSION}")
    finally:
        connection.close()


def build_server(secret: str | None, flags: list[str]) -> SecantusDBServer:
    """Return the database with these flags, not started."""
    chosen = build_parser().parse_args(flags)
    logging.basicConfig(
        level=chosen.log_level or "WARNING",
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    create_compressed_tables(Path(chosen.storage_path))
    server = SecantusDBServer(
        host=chosen.host,
        port=chosen.port,
        storage_path=chosen.storage_path,
        require_auth=secret is not None or bool(chosen.auth),
        enable_test_commands=bool(chosen.enable_test_commands),
        replica_set_name=None if chosen.standalone else "secantus",
        sync_on_commit=bool(chosen.sync_on_commit),
        tls_cert_file=chosen.tls_cert_file,
        tls_key_file=chosen.tls_key_file,
    )
    # They add no attributes, so the server's own objects become theirs.
    server.transactions.__class__ = Transactions
    server.storage.__class__ = CorrectedStorage
    server.storage._lock = PositionLock(server.storage)
    _release_snapshot_after_expiry(server)
    if secret is not None:
        _set_password(server, secret)
    return server


def _release_snapshot_after_expiry(server: SecantusDBServer) -> None:
    """Have the thread that removes expired documents release its snapshot each time.

    SecantusDB 0.7.0b3 keeps it until the next time, a minute later. WiredTiger cannot discard any
    older version of a document meanwhile, so writes take longer and longer.
    """
    storage = server.storage
    prune = storage.prune_ttl_all_collections

    def prune_and_release() -> int:
        try:
            return int(prune())
        finally:
            storage.release_thread_snapshot()

    storage.prune_ttl_all_collections = prune_and_release


def _set_password(server: SecantusDBServer, password: str) -> None:
    """Set the password of the only user.

    `createUser` would do the same, but only on a server that serves everyone until then.
    """
    record = {
        "_id": f"{USERS_DATABASE}.{USER}",
        "user": USER,
        "db": USERS_DATABASE,
        "credentials": derive_credentials(password, iterations=ITERATIONS).to_doc(),
        "roles": [{"role": "root", "db": USERS_DATABASE}],
        "mechanisms": [SCRAM_SHA_256],
    }
    server.storage.add_user(USERS_DATABASE, USER, record, replace=True)


def _die_at_end_of_input() -> None:
    # Only the parent holds the other end of standard input, so it closes with the parent.
    while os.read(0, 1):
        pass
    os._exit(1)


def main(*arguments: str) -> None:
    if platform.system() != "Linux":
        threading.Thread(target=_die_at_end_of_input, daemon=True).start()
    match arguments:
        case ["--secret-file", file, *flags]:
            serve(Path(file).read_text().strip(), flags)
        case _:
            serve(None, [*arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
