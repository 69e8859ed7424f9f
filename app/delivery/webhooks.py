"""The worker that delivers events to webhooks, many endpoints at a time.

Each due webhook is claimed for one turn (app/delivery/webhook_turns.py). Endpoints wait for each
other only if more are slow than turns run at a time, and emails wait for none of them.
"""

from __future__ import annotations

import threading
from datetime import datetime

from flask import Flask
from pymongo.errors import PyMongoError

from app.clock import Clock
from app.concurrency import spawn
from app.database.transactions import name_error, run_transaction
from app.delivery.webhook_turns import LEASE, deliver_events
from app.delivery.worker import Worker
from app.events import events_committed
from app.logs import logger
from app.models import Webhook, WebhookWake

# Turns at a time. Each waits for an endpoint most of the time.
MAX_TURNS = 32
# Maximum time between two checks for events that other processes wrote.
MAX_WAIT_SECONDS = 1.0
# For the transactions of turns. A turn that waits for an endpoint has none, and is abandoned.
TURN_STOP_SECONDS = 2.0


class WebhookWorker(Worker):
    def __init__(self, app: Flask, clock: Clock, *, max_turns: int = MAX_TURNS) -> None:
        super().__init__("webhooks")
        self._app = app
        self._clock = clock
        self._max_turns = max_turns
        self._turns = 0
        self._turns_changed = threading.Condition()
        events_committed.connect(self._wake, sender=app)

    def run_pass(self) -> float:
        """Start the turns of due webhooks; return the seconds until the next are due."""
        with self._app.app_context():
            self._start_turns()
            return self._seconds_to_next()

    def stop(self) -> None:
        """Stop `run`, and wait a moment for the turns, which end after their current request."""
        super().stop()
        with self._turns_changed:
            self._turns_changed.wait_for(lambda: not self._turns, TURN_STOP_SECONDS)

    def run_once(self) -> int:
        """Run one turn of each due webhook, one after the other; return how many there were."""
        with self._app.app_context():
            due = self._claim_due(self._max_turns)
        for webhook in due:
            self._run_turn(webhook)
        return len(due)

    def _start_turns(self) -> None:
        with self._turns_changed:
            free = self._max_turns - self._turns
        for webhook in self._claim_due(free):
            with self._turns_changed:
                self._turns += 1
            spawn(self._run_counted_turn, webhook)

    def _claim_due(self, limit: int) -> list[Webhook]:
        now = self._clock.now()
        if WebhookWake.exists():
            run_transaction(lambda: WebhookWake.take(now))
        due = Webhook.find_due(now, limit) if limit > 0 else []
        return run_transaction(lambda: _claim(due, now)) if due else []

    def _run_counted_turn(self, webhook: Webhook) -> None:
        try:
            self._run_turn(webhook)
        finally:
            with self._turns_changed:
                self._turns -= 1
                self._turns_changed.notify_all()
            self._work.set()

    def _run_turn(self, webhook: Webhook) -> None:
        try:
            with self._app.app_context():
                deliver_events(webhook, self._clock, lambda: self._stopping)
        except PyMongoError as error:
            # The webhook is due again when its claim ends.
            logger.warning("webhooks: database unavailable: %s", name_error(error))
        except Exception:
            # As above; other webhooks must not suffer from it.
            logger.exception("webhook %s: the turn failed", webhook.id)

    def _seconds_to_next(self) -> float:
        with self._turns_changed:
            if self._turns >= self._max_turns:
                # A turn that ends sets the event.
                return MAX_WAIT_SECONDS
        due = Webhook.next_due()
        left = (due - self._clock.now()).total_seconds() if due else MAX_WAIT_SECONDS
        return min(max(left, 0.0), MAX_WAIT_SECONDS)

    def _wake(self, _sender: object, events: object) -> None:
        self._work.set()


# In one transaction, so that all of them wait for the disk once.
def _claim(webhooks: list[Webhook], now: datetime) -> list[Webhook]:
    return [claimed for webhook in webhooks if (claimed := webhook.claimed(now, LEASE))]
