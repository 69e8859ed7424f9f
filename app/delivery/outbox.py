"""The outbox: a worker that delivers each notification by email and SMS, at least once.

What is to be delivered is in the database before anyone hears of it, so a crash delays a
message and never loses it. A sender that is slow or fails costs requests nothing: they have
long been answered.
"""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from pymongo.errors import PyMongoError

from app.clock import Clock
from app.delivery.senders import DeliveryError, Message, Sender
from app.logs import logger
from app.models import Notification, User
from app.signals import events_committed

BATCH = 200
# Longer than any sender may take for a batch, so that no other worker takes it up meanwhile.
LEASE = timedelta(minutes=10)
MOST_ATTEMPTS = 8
FIRST_RETRY = timedelta(seconds=10)
LONGEST_RETRY = timedelta(hours=1)
# How long to wait at most before looking for work that another process left behind.
LONGEST_WAIT_SECONDS = 60.0
STOP_SECONDS = 0.5
# Lines of a digest; the rest is counted.
MOST_LINES = 20


class Outbox:
    def __init__(self, app: Flask, clock: Clock, senders: Iterable[Sender]) -> None:
        self._app = app
        self._clock = clock
        self._senders = {sender.channel: sender for sender in senders}
        self._work = threading.Event()
        self._stopping = False
        self._ended = threading.Event()
        events_committed.connect(self._wake, sender=app)

    def run(self) -> None:
        """Deliver what is due, and wait for more, until stopped."""
        while not self._stopping:
            self._work.clear()
            try:
                wait = 0.0 if self.run_once() else self._seconds_to_next()
            except PyMongoError as error:
                logger.warning("outbox: database unavailable: %s", type(error).__name__)
                wait = FIRST_RETRY.total_seconds()
            except Exception:
                # Whatever it was, the worker must live to deliver the next batch.
                logger.exception("outbox: a batch failed")
                wait = FIRST_RETRY.total_seconds()
            if wait:
                self._work.wait(wait)
        self._ended.set()

    def stop(self) -> None:
        """End `run`, and wait a moment for the message it is at."""
        self._stopping = True
        self._work.set()
        self._ended.wait(STOP_SECONDS)

    def run_once(self) -> int:
        """Deliver one batch of what is due; return how many notifications it held."""
        with self._app.app_context():
            batch = Notification.claim_due(self._clock.now(), LEASE, BATCH)
            by_user: dict[str, list[Notification]] = defaultdict(list)
            for each in batch:
                by_user[each.user_id].append(each)
            users = {user.client_id: user for user in User.find_many(list(by_user))}
            for user_id, notifications in by_user.items():
                if self._stopping:
                    break
                self._deliver(users.get(user_id), notifications)
            return len(batch)

    def _deliver(self, user: User | None, notifications: Sequence[Notification]) -> None:
        """Send a user's notifications as one message a channel; write down how it went."""
        attempts = [_Attempt(each) for each in notifications]
        for channel, sender in self._senders.items():
            pending = [each for each in attempts if each.is_pending(channel)]
            if pending:
                self._send(sender, user, pending)
        Notification.record_deliveries(
            [(each.notification, each.deliveries, each.next_time) for each in attempts]
        )

    def _send(self, sender: Sender, user: User | None, attempts: Sequence[_Attempt]) -> None:
        now = self._clock.now()
        error: DeliveryError | None = None
        try:
            if user is None:
                raise DeliveryError("the user is gone", permanent=True)
            sender.send(user, compose([each.notification for each in attempts]))
        except DeliveryError as failure:
            error = failure
            logger.warning("%s not delivered: %s", sender.channel, failure)
        except Exception as failure:
            # Counted like any other, or one message that cannot be written would be tried for
            # ever, and hold up those behind it.
            error = DeliveryError(type(failure).__name__)
            logger.exception("%s not delivered", sender.channel)
        for each in attempts:
            each.finish(sender, now, error)

    def _seconds_to_next(self) -> float:
        with self._app.app_context():
            due = Notification.next_due()
        if due is None:
            return LONGEST_WAIT_SECONDS
        return min(max((due - self._clock.now()).total_seconds(), 0.1), LONGEST_WAIT_SECONDS)

    def _wake(self, _sender: object, events: Sequence[Notification]) -> None:
        self._work.set()


@dataclass(slots=True)
class _Attempt:
    """One notification on its way: what became of it on each channel so far."""

    notification: Notification
    next_time: datetime | None = None

    @property
    def deliveries(self) -> list[dict[str, Any]]:
        return self.notification.deliveries

    def is_pending(self, channel: str) -> bool:
        return bool(self._delivery(channel)["status"] == "pending")

    def finish(self, sender: Sender, now: datetime, error: DeliveryError | None) -> None:
        """Write down an attempt on a channel, and when to make the next one if any."""
        delivery = self._delivery(sender.channel)
        delivery["attempts"] += 1
        delivery["at"] = now
        if error is None:
            delivery["status"] = sender.outcome
            delivery.pop("error", None)
            return
        delivery["error"] = str(error)
        if error.permanent or delivery["attempts"] >= MOST_ATTEMPTS:
            delivery["status"] = "failed"
        else:
            retry = now + retry_delay(delivery["attempts"])
            self.next_time = min(self.next_time or retry, retry)

    def _delivery(self, channel: str) -> dict[str, Any]:
        for each in self.deliveries:
            if each["channel"] == channel:
                return each
        return {"channel": channel, "status": "absent"}


def retry_delay(attempts: int) -> timedelta:
    """Return how long to wait after this many failed attempts: doubling, with jitter."""
    doublings = min(attempts - 1, 16)
    longest = min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)
    return longest * random.uniform(0.5, 1)


def compose(notifications: Sequence[Notification]) -> Message:
    """Write one message that tells of all the notifications, in their order."""
    lines = [each.message for each in notifications]
    if len(lines) == 1:
        return Message(subject=_subject(notifications[0]), text=lines[0])
    text = "\n".join(lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        text += f"\n... and {len(lines) - MOST_LINES} more."
    return Message(subject=f"Paper trading: {len(lines)} events", text=text)


def _subject(notification: Notification) -> str:
    # One line whatever the event is called, so that no name can add a header.
    name = " ".join(notification.type.replace("_", " ").split())
    return f"Paper trading: {name}"
