"""Whether any worker of the system runs, for the health check of a web process."""

from __future__ import annotations

import threading
import time

import pymongo
from pymongo.errors import PyMongoError

from app.models import ShareLease

PROBE_SECONDS = 2.0
# A result is reused for this long.
FRESH_SECONDS = 1.0
NO_WORKER = (
    "No worker runs, so no stop-loss is watched and no message is sent. "
    "Start one with `flask --app run worker`."
)


class LivingWorkers:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checked_at = float("-inf")
        self._problem: str | None = None

    def problem(self) -> str | None:
        """Return why no worker is known to run, None if one does."""
        with self._lock:
            if time.monotonic() - self._checked_at >= FRESH_SECONDS:
                self._problem = _probe()
                self._checked_at = time.monotonic()
            return self._problem


def _probe() -> str | None:
    try:
        with pymongo.timeout(PROBE_SECONDS):
            return None if ShareLease.any_living() else NO_WORKER
    except PyMongoError as error:
        return type(error).__name__
