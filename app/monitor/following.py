"""What a web process does besides requests: the part of the monitor that each process needs."""

from __future__ import annotations

import threading
from contextlib import suppress

import pymongo
from flask import Flask
from pymongo.errors import PyMongoError

from app.events import republish_unconfirmed
from app.logs import logger
from app.monitor.loop import MIN_LEASE_SECONDS, RELEASE_SECONDS
from app.monitor.maintenance import MAINTENANCE_SECONDS
from app.services import services


class Following:
    """Tells the workers which symbols this process needs, and looks after its own events."""

    def __init__(self, app: Flask) -> None:
        with app.app_context():
            parts = services()
        self._app = app
        self._interval = parts.settings.monitor_interval_seconds
        self._clock = parts.clock
        self._polled_symbols = parts.polled_symbols
        self._instruments = parts.instruments
        self._actions = parts.actions
        self._maintenance_due_at = parts.clock.monotonic()
        self._stop = threading.Event()
        self._is_failing = False

    def run(self) -> None:
        """Make a round every interval, until stopped."""
        while not self._stop.is_set():
            try:
                self.run_once()
                self._is_failing = False
            except PyMongoError as error:
                if not self._is_failing:
                    logger.warning("following: database unavailable: %s", type(error).__name__)
                self._is_failing = True
            except Exception:
                # Without the next round, no worker would poll what this process needs.
                logger.exception("following: a round failed")
            self._stop.wait(self._interval)

    def run_once(self) -> None:
        """Announce the symbols, publish what was committed without a reply, load lists.

        Raises PyMongoError if the database is unavailable.
        """
        with self._app.app_context():
            # A worker shares its quotes with processes that have announced themselves.
            self._polled_symbols.announce(max(3 * self._interval, MIN_LEASE_SECONDS))
            republish_unconfirmed()
            self._actions.refresh()
            if (now := self._clock.monotonic()) >= self._maintenance_due_at:
                self._maintenance_due_at = now + MAINTENANCE_SECONDS
                self._instruments.refresh()
                # The movers are those of what other processes watch as well.
                self._polled_symbols.load()

    def stop(self) -> None:
        """End `run`, and have nothing polled for this process any more."""
        self._stop.set()
        with self._app.app_context(), suppress(PyMongoError), pymongo.timeout(RELEASE_SECONDS):
            self._polled_symbols.withdraw()
