"""Retention: deletes old documents after the configured number of days, in small batches.

It deletes read notifications and triggered alerts only, and nothing by default. Trades stay:
portfolios are recomputed from them.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from app.clock import Clock
from app.models import Alert, Inbox, Notification, User
from config import Settings

# The range of numbers that one statement covers.
WINDOW_SIZE = 1_000
# SecantusDB: runs one statement at a time, and each of these takes milliseconds. MongoDB would need
# no steps.
STATEMENTS_PER_STEP = 100
ROUND_SECONDS = 24 * 3_600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The days that each kind of document is kept; None is forever."""

    notifications_days: int | None = None
    alerts_days: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(settings.retention_notifications_days, settings.retention_alerts_days)

    @property
    def is_empty(self) -> bool:
        return self.notifications_days is None and self.alerts_days is None


# The kind of document, and a function that returns how many it counted or deleted.
Statement = tuple[str, Callable[[], int]]


def statements(
    user_id: str, limits: Limits, now: datetime, *, apply: bool, window_size: int = WINDOW_SIZE
) -> Iterator[Statement]:
    """Yield statements that count, or with `apply` delete, the old documents of a user."""
    if limits.notifications_days is not None:
        until = now - timedelta(days=limits.notifications_days)
        # The newest event stays: `reconcile` checks the count of events against it.
        inbox = Inbox.find(user_id)
        for low, high in _windows(inbox.event_seq if inbox else 0, window_size):
            if Notification.is_younger(user_id, low, until):
                break
            delete = partial(Notification.purge, user_id, low, high, until, apply=apply)
            yield "notifications", delete
    if limits.alerts_days is not None:
        until = now - timedelta(days=limits.alerts_days)
        for low, high in _windows(User.last_alert_number(user_id) + 1, window_size):
            yield "alerts", partial(Alert.purge, user_id, low, high, until, apply=apply)


def purge(user_id: str, limits: Limits, now: datetime, *, apply: bool) -> Counter[str]:
    """Count, or with `apply` delete, all old documents of a user, by kind."""
    counted: Counter[str] = Counter()
    for kind, run in statements(user_id, limits, now, apply=apply):
        counted[kind] += run()
    return counted


class Retention:
    """Applies the configured limits, user by user, one round a day."""

    def __init__(self, clock: Clock, limits: Limits, *, window_size: int = WINDOW_SIZE) -> None:
        self._clock = clock
        self._window_size = window_size
        self._limits = limits
        self._due_at = clock.monotonic()
        self._users: deque[str] = deque()
        self._statements: Iterator[Statement] = iter(())
        self._is_under_way = False
        self._lock = threading.Lock()

    def step(self) -> int:
        """Run a few statements of a due round; return how many documents it deleted.

        Raises PyMongoError; the next step then continues with the next user.
        """
        if self._limits.is_empty or self._clock.monotonic() < self._due_at:
            return 0
        if not self._lock.acquire(blocking=False):
            # The previous step is still running.
            return 0
        try:
            return self._run_statements()
        finally:
            self._lock.release()

    def _run_statements(self) -> int:
        if not self._is_under_way:
            self._users.extend(Inbox.all_user_ids())
            self._is_under_way = True
        deleted = 0
        for _ in range(STATEMENTS_PER_STEP):
            statement = next(self._statements, None)
            if statement is not None:
                deleted += statement[1]()
            elif self._users:
                self._statements = statements(
                    self._users.popleft(),
                    self._limits,
                    self._clock.now(),
                    apply=True,
                    window_size=self._window_size,
                )
            else:
                self._is_under_way = False
                self._due_at = self._clock.monotonic() + ROUND_SECONDS
                break
        return deleted


def _windows(end: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the numbers from 1 to below `end` as ranges of (first, after the last)."""
    for low in range(1, end, size):
        yield low, min(low + size, end)
