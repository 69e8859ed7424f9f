"""The lock of the process that builds indexes, by the clock of the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import PyMongoError

from app.database import collection
from app.logs import logger

NAME = "indexes"
# Short, so that a start after a killed one waits only a moment.
LIFETIME_SECONDS = 5.0
RENEWAL_SECONDS = 1.0
REPORT_SECONDS = 10.0


class BuildLock:
    """A document that exists from the beginning to the end of a build."""

    def __init__(self, report_seconds: float = REPORT_SECONDS) -> None:
        self._report_seconds = report_seconds
        self._holder = ObjectId()
        # What is being built, for the log.
        self.work = "indexes"

    def exists(self) -> bool:
        """Return whether a process is building, or was killed while it did."""
        return collection("leases").find_one({"_id": NAME}, {"_id": 1}) is not None

    def take(self) -> bool:
        """Take or renew the lock, unless another process holds it; return whether it is ours."""
        # SecantusDB: finds a stored date neither less nor greater than `$$NOW`, so the time is kept
        # as milliseconds. MongoDB compares dates.
        now = {"$toLong": "$$NOW"}
        until = {"$add": [now, int(LIFETIME_SECONDS * 1000)]}
        # One update by `_id`, which the database retries if two processes insert at once. A query
        # on `until` would insert a second document, and `$expr` is not allowed in an upsert.
        is_free = {"$or": [{"$lt": ["$until", now]}, {"$eq": ["$holder", self._holder]}]}
        lock = collection("leases").find_one_and_update(
            {"_id": NAME},
            [
                {
                    "$set": {
                        "holder": {"$cond": [is_free, self._holder, "$holder"]},
                        "until": {"$cond": [is_free, until, "$until"]},
                    }
                }
            ],
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return lock is not None and lock["holder"] == self._holder

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lock and report the work in the background; release the lock at the end."""
        ended = threading.Event()
        keeper = threading.Thread(target=self._keep, args=[ended], daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()
            with suppress(PyMongoError):
                collection("leases").delete_one({"_id": NAME, "holder": self._holder})

    def _keep(self, ended: threading.Event) -> None:
        began = reported = time.monotonic()
        while not ended.wait(RENEWAL_SECONDS):
            with suppress(PyMongoError):
                self.take()
            now = time.monotonic()
            if now - reported >= self._report_seconds:
                logger.info("still building %s after %d s", self.work, now - began)
                reported = now
