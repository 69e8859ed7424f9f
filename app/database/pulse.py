"""The pulse: whether the database really reads and writes, asked for at most so often."""

from __future__ import annotations

import threading
import time

import pymongo
from pymongo.errors import PyMongoError

from app.database import collection

PROBE_SECONDS = 2.0
# An answer serves every caller for this long.
FRESH_SECONDS = 1.0
# A write costs the disk a sync, a read next to nothing.
WRITE_SECONDS = 5.0
NAME = "pulse"


class Pulse:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checked_at = self._written_at = float("-inf")
        self._error: PyMongoError | None = None

    def check(self) -> PyMongoError | None:
        """Return why the database cannot read and write, None if it can.

        However many call it, the database is asked once in FRESH_SECONDS.
        """
        with self._lock:
            if time.monotonic() - self._checked_at >= FRESH_SECONDS:
                self._error = self._probe()
                self._checked_at = time.monotonic()
            return self._error

    def _probe(self) -> PyMongoError | None:
        # After a failure each probe writes: the database is well only once that works again.
        writes = self._error is not None or time.monotonic() - self._written_at >= WRITE_SECONDS
        try:
            with pymongo.timeout(PROBE_SECONDS):
                if writes:
                    collection("pulse").update_one(
                        {"_id": NAME}, {"$inc": {"count": 1}}, upsert=True
                    )
                    self._written_at = time.monotonic()
                collection("pulse").find_one({"_id": NAME})
        except PyMongoError as error:
            return error
        return None
