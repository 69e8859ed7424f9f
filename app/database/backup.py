"""Backups: every document of one instant in one file, and the way back.

The file is a ZIP archive with one BSON file per collection, as `mongodump` writes them, and
`backup.json`, which is written last: an archive without it is incomplete.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import IO, Any

import bson
import pymongo
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from app.database import collection, database
from app.database.indexes import INDEXES, create_indexes
from app.database.migrations import VERSION, migrate
from app.database.snapshots import snapshot
from config import ConfigurationError

FORMAT = 1
MANIFEST = "backup.json"
# State of processes, which would be wrong after a restore.
EXCLUDED = frozenset({"leases", "pulse"})
RESTORING = {"_id": "restoring"}
HALF_RESTORED = (
    "A restore of this database was interrupted. "
    "Run `flask --app run restore FILE --replace` again."
)
BATCH_SIZE = 1_000
# For all reads of a backup, and for all writes of a restore.
TIMEOUT_SECONDS = 4 * 3600
# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
SNAPSHOT_TOO_OLD = 239
RAW = CodecOptions(document_class=RawBSONDocument)

OnProgress = Callable[[int], object]


class UnusableBackup(Exception):
    """The backup cannot be made or restored; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds: the time of its instant, and the documents of each collection."""

    format: int
    shape: int
    created_at: str
    documents: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.documents.values())


def count_documents() -> int:
    """Return about how many documents a backup would have."""
    return sum(collection(name).estimated_document_count() for name in _names())


def write_backup(file: IO[bytes], created_at: str, on_progress: OnProgress) -> Manifest:
    """Write every document, all of one instant, while servers run; return what was written.

    Raises UnusableBackup if the database no longer has that instant.
    """
    if is_half_restored():
        raise UnusableBackup(HALF_RESTORED)
    counts = {}
    with (
        pymongo.timeout(TIMEOUT_SECONDS),
        snapshot() as session,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in _names():
            with archive.open(f"{name}.bson", "w", force_zip64=True) as entry:
                counts[name] = _dump(_raw(name), session, entry, on_progress)
        manifest = Manifest(FORMAT, VERSION, created_at, counts)
        archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
    return manifest


def read_manifest(archive: zipfile.ZipFile) -> Manifest:
    """Return what a backup holds; raise UnusableBackup if it cannot be restored."""
    try:
        manifest = Manifest(**json.loads(archive.read(MANIFEST)))
    except (KeyError, TypeError, ValueError):
        raise UnusableBackup("The file is not a backup, or is incomplete.") from None
    if manifest.format != FORMAT or manifest.shape > VERSION:
        raise UnusableBackup("The backup was made by a later version. Restore it with that one.")
    return manifest


def is_empty() -> bool:
    """Return whether the database has no users and no interrupted restore."""
    return collection("users").find_one({}, {"_id": 1}) is None and not is_half_restored()


def is_half_restored() -> bool:
    """Return whether a restore was interrupted."""
    return collection("schema").find_one(RESTORING) is not None


def require_whole() -> None:
    """Raise ConfigurationError if a restore was interrupted."""
    if is_half_restored():
        raise ConfigurationError([HALF_RESTORED])


def restore(archive: zipfile.ZipFile, on_progress: OnProgress) -> Manifest:
    """Replace everything in the database by the backup; return what it held.

    No server may run. While it is incomplete the database is marked, and servers refuse it.
    Raises UnusableBackup for a damaged file, before anything is changed.
    """
    manifest = read_manifest(archive)
    if damaged := archive.testzip():
        raise UnusableBackup(f"The file is damaged: {damaged} in it cannot be read.")
    with pymongo.timeout(TIMEOUT_SECONDS):
        collection("schema").replace_one(RESTORING, RESTORING, upsert=True)
        for name in set(_names()) - {"schema"}:
            database().drop_collection(name)
        for name in manifest.documents:
            _load(archive, name, on_progress)
        # The documents may have the shape of an earlier version, which the indexes do not fit.
        migrate()
        create_indexes()
        collection("schema").delete_one(RESTORING)
    return manifest


def _load(archive: zipfile.ZipFile, name: str, on_progress: OnProgress) -> None:
    with archive.open(f"{name}.bson") as entry:
        documents: Iterator[Any] = bson.decode_file_iter(entry, RAW)
        while batch := list(islice(documents, BATCH_SIZE)):
            if name == "schema":
                # It was not emptied: the mark of the restore is in it.
                for document in batch:
                    _raw(name).replace_one({"_id": document["_id"]}, document, upsert=True)
            else:
                _raw(name).insert_many(batch, ordered=False)
            on_progress(len(batch))


def _dump(
    source: Collection[Any], session: ClientSession, entry: IO[bytes], on_progress: OnProgress
) -> int:
    count = 0
    try:
        for count, document in enumerate(source.find({}, session=session), 1):
            entry.write(document.raw)
            if count % BATCH_SIZE == 0:
                on_progress(BATCH_SIZE)
    except OperationFailure as error:
        if error.code != SNAPSHOT_TOO_OLD:
            raise
        raise UnusableBackup(
            "The database keeps an instant for minSnapshotHistoryWindowInSeconds (300) only, and "
            "the backup took longer. Use mongodump or a snapshot of Atlas instead."
        ) from None
    on_progress(count % BATCH_SIZE)
    return count


def _names() -> list[str]:
    names = set(database().list_collection_names()) & INDEXES.keys()
    return sorted(names - EXCLUDED)


def _raw(name: str) -> Collection[Any]:
    return database().get_collection(name, RAW)
