"""Attempts: the state of a notification on each channel, and when to retry."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.delivery.senders import DeliveryError, Sender
from app.models import Notification

MAX_ATTEMPTS = 8
FIRST_RETRY = timedelta(seconds=10)
MAX_RETRY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The delivery of one notification on all channels."""

    notification: Notification

    @property
    def deliveries(self) -> list[dict[str, Any]]:
        return self.notification.deliveries

    @property
    def next_time(self) -> datetime | None:
        """When the next retry on any channel is due; None if there is none."""
        times = [delivery["retry_at"] for delivery in self.deliveries if "retry_at" in delivery]
        return min(times, default=None)

    def is_due(self, channel: str, now: datetime) -> bool:
        """Return whether to try a channel now; each channel has its own retry time."""
        delivery = self._delivery(channel)
        return bool(delivery["status"] == "pending" and delivery.get("retry_at", now) <= now)

    def skip(self, channel: str, now: datetime, reason: str | None = None) -> None:
        """Mark as skipped: by the user's preferences, unless a reason is given."""
        self._end(self._delivery(channel), "skipped", now, reason)

    def record(self, channel: str, now: datetime, reason: str) -> None:
        """Mark as recorded: kept, and not sent."""
        self._end(self._delivery(channel), "recorded", now, reason)

    def postpone(self, channels: Iterable[str], now: datetime) -> None:
        """Have the channels that are due and were not tried be tried again soon."""
        for channel in channels:
            if self.is_due(channel, now):
                self._delivery(channel)["retry_at"] = now + FIRST_RETRY

    def finish(
        self, sender: Sender, now: datetime, error: DeliveryError | None, jitter: float
    ) -> None:
        """Note the result of an attempt on a channel, and when to retry if it failed."""
        delivery = self._delivery(sender.channel)
        delivery["attempts"] += 1
        if error is None:
            self._end(delivery, sender.outcome, now)
            delivery.pop("error", None)
            return
        delivery["error"] = str(error)
        if error.permanent or delivery["attempts"] >= MAX_ATTEMPTS:
            self._end(delivery, "failed", now)
        else:
            wait = max_delay(delivery["attempts"]) * jitter
            delivery["at"] = now
            delivery["retry_at"] = now + max(wait, error.retry_after or wait)

    def _end(
        self, delivery: dict[str, Any], status: str, now: datetime, reason: str | None = None
    ) -> None:
        delivery["status"] = status
        if reason:
            delivery["error"] = reason
        delivery["at"] = now
        delivery.pop("retry_at", None)

    def _delivery(self, channel: str) -> dict[str, Any]:
        for delivery in self.deliveries:
            if delivery["channel"] == channel:
                return delivery
        return {"channel": channel, "status": "absent"}


def max_delay(attempts: int) -> timedelta:
    """Return the maximum delay after this many failed attempts: it doubles, up to an hour."""
    doublings = min(attempts - 1, 16)
    return min(FIRST_RETRY * (1 << doublings), MAX_RETRY)


def draw_jitter() -> float:
    """Return a random share of the maximum delay, so that retries spread out."""
    return random.uniform(0.5, 1)
