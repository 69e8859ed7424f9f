"""Retention: deletes what has been kept for as long as the configuration says, in small batches.

Only read notifications and triggered alerts go, and nothing goes by default. Trades stay: the
portfolios are recomputed from them.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.clock import Clock
from app.models import Alert, Inbox, Notification, User
from config import Settings

# Running numbers that one statement looks through.
WINDOW_SIZE = 1_000
# SecantusDB: runs one statement at a time, and each of these takes milliseconds. MongoDB would take
# a whole round at once.
STATEMENTS_PER_STEP = 100
ROUND_SECONDS = 24 * 3_600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """For how many days each kind is kept; None is for ever."""

    notifications_days: int | None = None
    alerts_days: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(settings.retention_notifications_days, settings.retention_alerts_days)

    @property
    def is_empty(self) -> bool:
        return self.notifications_days is None and self.alerts_days is None


# One statement: its kind, and how many documents it counted or deleted.
Statement = Callable[[], tuple[str, int]]


def statements(
    user_id: str, limits: Limits, now: datetime, *, apply: bool, window_size: int = WINDOW_SIZE
) -> Iterator[Statement]:
    """Yield statements that count, or with `apply` delete, what a user has had for too long."""
    if limits.notifications_days is not None:
        until = now - timedelta(days=limits.notifications_days)
        # The newest event stays: `reconcile` checks the count of events against it.
        inbox = Inbox.find(user_id)
        for low, high in _windows(inbox.event_seq if inbox else 0, window_size):
            if Notification.is_younger(user_id, low, until):
                break
            yield _notifications(user_id, low, high, until, apply)
    if limits.alerts_days is not None:
        until = now - timedelta(days=limits.alerts_days)
        for low, high in _windows(User.last_alert_number(user_id) + 1, window_size):
            yield _alerts(user_id, low, high, until, apply)


def purge(user_id: str, limits: Limits, now: datetime, *, apply: bool) -> Counter[str]:
    """Count, or with `apply` delete, all that a user has had for too long."""
    counted: Counter[str] = Counter()
    for statement in statements(user_id, limits, now, apply=apply):
        kind, count = statement()
        counted[kind] += count
    return counted


class Retention:
    """Applies the limits of the configuration, user by user, a round a day."""

    def __init__(self, clock: Clock, limits: Limits, *, window_size: int = WINDOW_SIZE) -> None:
        self._clock = clock
        self._window_size = window_size
        self._limits = limits
        self._due_at = clock.monotonic()
        self._users: deque[str] = deque()
        self._left: Iterator[Statement] = iter(())
        self._is_under_way = False
        self._lock = threading.Lock()

    def step(self) -> int:
        """Do a few statements of a round that is due; return how many documents it deleted.

        Raises PyMongoError; the next step goes on with the next user then.
        """
        if self._limits.is_empty or self._clock.monotonic() < self._due_at:
            return 0
        if not self._lock.acquire(blocking=False):
            # The step before is slow.
            return 0
        try:
            return self._do_some()
        finally:
            self._lock.release()

    def _do_some(self) -> int:
        if not self._is_under_way:
            self._users.extend(Inbox.all_user_ids())
            self._is_under_way = True
        deleted = 0
        for _ in range(STATEMENTS_PER_STEP):
            statement = next(self._left, None)
            if statement is not None:
                deleted += statement()[1]
            elif self._users:
                self._left = statements(
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
    """Yield the numbers from 1 to under `end` as ranges: first number, number after the last."""
    for low in range(1, end, size):
        yield low, min(low + size, end)


def _notifications(user_id: str, low: int, high: int, until: datetime, apply: bool) -> Statement:
    def run() -> tuple[str, int]:
        return "notifications", Notification.purge(user_id, low, high, until, apply=apply)

    return run


def _alerts(user_id: str, low: int, high: int, until: datetime, apply: bool) -> Statement:
    def run() -> tuple[str, int]:
        return "alerts", Alert.purge(user_id, low, high, until, apply=apply)

    return run
