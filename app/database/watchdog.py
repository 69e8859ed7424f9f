"""The watchdog: restarts an embedded database that answers and fails every operation."""

from __future__ import annotations

import threading
import time

from flask import Flask
from pymongo.errors import PyMongoError

from app.database.ping import PingResult, ping
from app.database.pulse import Pulse
from app.logs import logger
from embedded_db.supervisor import EmbeddedDatabase

# SecantusDB: after a full disk it may answer `ping` and fail everything else until it is restarted,
# even with room again. MongoDB ends itself.
CHECK_SECONDS = 5.0
# Seconds of failure before a restart; a database that is only slow gets more.
FAILING_SECONDS = 5.0
SLOW_SECONDS = 60.0
MIN_PAUSE_SECONDS = 5.0
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
        self._pause = MIN_PAUSE_SECONDS
        self._next_restart = float("-inf")

    def run(self) -> None:
        """Check the database every few seconds until stopped."""
        while not self._stop.wait(self._check_seconds):
            try:
                with self._app.app_context():
                    self.check()
            except Exception:
                # The watchdog must survive any error to make the next check.
                logger.exception("the watchdog of the embedded database failed")

    def stop(self) -> None:
        self._stop.set()

    def check(self) -> None:
        """Restart the database if it has replied without working for long enough."""
        self._database.limit_log()
        error = self._pulse.check()
        if error is None:
            self._failing_since = None
            self._pause = MIN_PAUSE_SECONDS
            return
        result = ping(self._database.uri)
        if result is not PingResult.NO_REPLY:
            now = time.monotonic()
            since = self._failing_since = self._failing_since or now
            is_slow = error.timeout and result is PingResult.OK
            timeout = SLOW_SECONDS if is_slow else FAILING_SECONDS
            if now - since >= timeout and now >= self._next_restart:
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
