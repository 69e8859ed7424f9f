"""The maintenance, beside the passes: instruments, old marks and documents, deleted accounts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from flask import Flask
from pymongo.errors import PyMongoError

from app.auth.erasure import finish_erasures
from app.concurrency import spawn
from app.database.transactions import name_error
from app.logs import logger
from app.models import Followers
from app.monitor.own_actions import announce_own_actions
from app.monitor.reported_actions import ReportedActions
from app.monitor.retention import Limits, Retention
from app.services import services
from app.trades.endings import UnlistedEntries

# Between two rounds.
MAINTENANCE_SECONDS = 60.0


class Maintenance:
    def __init__(self, app: Flask) -> None:
        with app.app_context():
            parts = services()
        self._app = app
        self._clock = parts.clock
        self._due_at = parts.clock.monotonic()
        # Of the list in this process.
        self._own_steps: list[Callable[[], object]] = [parts.instruments.refresh]
        # Of the database, by one process.
        retention = Retention(parts.clock, Limits.of(parts.settings))
        self._shared_steps: list[Callable[[], object]] = [
            lambda: parts.polled_symbols.remove_old_marks(parts.clock.now()),
            Followers.remove_dead,
            retention.step,
            UnlistedEntries().reject,
            finish_erasures,
            lambda: announce_own_actions(parts),
            # Last: it waits for a source.
            ReportedActions(parts).step,
        ]

    def start_if_due(self, *, shared: bool) -> None:
        """Start a round in the background when it is due; with `shared` for all processes."""
        now = self._clock.monotonic()
        if now >= self._due_at:
            self._due_at = now + MAINTENANCE_SECONDS
            spawn(self._run, shared)

    def _run(self, shared: bool) -> None:
        with self._app.app_context():
            for step in chain(self._own_steps, self._shared_steps if shared else ()):
                try:
                    step()
                except PyMongoError as error:
                    logger.warning("maintenance: database unavailable: %s", name_error(error))
                except Exception:
                    # The other steps, and the next round, do not depend on this one.
                    logger.exception("maintenance: a step failed")
