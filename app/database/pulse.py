"""The pulse: a check that the database reads and writes, at most once in FRESH_SECONDS.

A majority of the members confirms each write, as it does each trade: a primary that has lost the
others still reads and writes, but nothing that it writes is durable.
"""

from __future__ import annotations

import threading
import time

import pymongo
from pymongo import WriteConcern
from pymongo.errors import PyMongoError

from app.database import collection

PROBE_SECONDS = 2.0
# A result is reused for this long.
FRESH_SECONDS = 1.0
# A write syncs the disk; a read costs next to nothing.
WRITE_SECONDS = 5.0
NAME = "pulse"
MAJORITY = WriteConcern("majority", j=True)


class Pulse:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checked_at = self._written_at = float("-inf")
        self._error: PyMongoError | None = None

    def check(self) -> PyMongoError | None:
        """Return why the database cannot read and write, None if it can."""
        with self._lock:
            if time.monotonic() - self._checked_at >= FRESH_SECONDS:
                self._error = self._probe()
                self._checked_at = time.monotonic()
            return self._error

    def _probe(self) -> PyMongoError | None:
        # After a failure every probe writes: only a write shows that the database has recovered.
        writes = self._error is not None or time.monotonic() - self._written_at >= WRITE_SECONDS
        try:
            with pymongo.timeout(PROBE_SECONDS):
                if writes:
                    collection("pulse").with_options(write_concern=MAJORITY).update_one(
                        {"_id": NAME}, {"$inc": {"count": 1}}, upsert=True
                    )
                    self._written_at = time.monotonic()
                collection("pulse").find_one({"_id": NAME})
        except PyMongoError as error:
            return error
        return None
