"""The watchdog: restarts an embedded database that answers and fails every operation."""

from __future__ import annotations

import threading
import time

from flask import Flask
from pymongo.errors import PyMongoError

from app.database.pulse import Pulse
from app.embedded import EmbeddedDatabase, IdempotencyRecord
from app.logs import logger

# SecantusDB: after a full disk it may answer `ping` and fail everything else until it is restarted,
# even with room again. MongoDB ends itself.
CHECK_SECONDS = 5.0
# Seconds for which nothing works before the database is ended: one that is only slow gets more.
FAILING_SECONDS = 5.0
SLOW_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 5.0
MAX_PAUSE_SECONDS = 60.0


class Watchdog:
    def __init__(
        self,
        app: Flask,
        database: EmbeddedDatabase,
        pulse: Pulse,
        *,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._app = app
        self._database = database
        self._pulse = pulse
        self._check_seconds = check_seconds
        self._stop = threading.Event()
        self._failing_since: float | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._next_restart = float("-inf")

    def run(self) -> None:
        """Check the database every few seconds until stopped."""
        while not self._stop.wait(self._check_seconds):
            try:
                with self._app.app_context():
                    self.check()
            except Exception:
                logger.exception("the watchdog of the embedded database failed")

    def stop(self) -> None:
        self._stop.set()

    def check(self) -> None:
        """End the database if it has failed for long enough while it answers."""
        self._database.limit_log()
        error = self._pulse.check()
        if error is None:
            self._failing_since = None
            self._pause = FIRST_PAUSE_SECONDS
            return
        answer = self._database.answer()
        if answer is not IdempotencyRecord.NONE:
            now = time.monotonic()
            since = self._failing_since = self._failing_since or now
            slow = error.timeout and answer is IdempotencyRecord.OK
            patience = SLOW_SECONDS if slow else FAILING_SECONDS
            if now - since >= patience and now >= self._next_restart:
                self._restart(error, now)

    def _restart(self, error: PyMongoError, now: float) -> None:
        if not self._database.disk.can_start:
            return
        logger.error(
            "the embedded database answers but does not work (%s); starting it again",
            type(error).__name__,
        )
        self._next_restart = now + self._pause
        self._pause = min(2 * self._pause, MAX_PAUSE_SECONDS)
        self._failing_since = None
        self._database.restart()
