"""Attempts: what became of a notification on each channel, and when to try again."""

from __future__ import annotations

import random
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
    """One notification on its way."""

    notification: Notification

    @property
    def deliveries(self) -> list[dict[str, Any]]:
        return self.notification.deliveries

    @property
    def next_time(self) -> datetime | None:
        """When the next attempt on any channel is due, None where none is to be made."""
        times = [each["retry_at"] for each in self.deliveries if "retry_at" in each]
        return min(times, default=None)

    def is_due(self, channel: str, now: datetime) -> bool:
        """Tell whether to try a channel now; each waits for a time of its own."""
        delivery = self._delivery(channel)
        return bool(delivery["status"] == "pending" and delivery.get("retry_at", now) <= now)

    def skip(self, channel: str, now: datetime, reason: str | None = None) -> None:
        """Note that it does not go out: by the user's preferences, unless a reason is given."""
        self._end(self._delivery(channel), "skipped", now, reason)

    def record(self, channel: str, now: datetime, reason: str) -> None:
        """Note that it is kept and not sent."""
        self._end(self._delivery(channel), "recorded", now, reason)

    def finish(
        self, sender: Sender, now: datetime, error: DeliveryError | None, jitter: float
    ) -> None:
        """Write down an attempt on a channel, and when to make the next one if any."""
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
            wait = longest_delay(delivery["attempts"]) * jitter
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
        for each in self.deliveries:
            if each["channel"] == channel:
                return each
        return {"channel": channel, "status": "absent"}


def longest_delay(attempts: int) -> timedelta:
    """Return how long to wait at most after this many failed attempts: doubling, to an hour."""
    doublings = min(attempts - 1, 16)
    return min(FIRST_RETRY * (1 << doublings), MAX_RETRY)


def draw_jitter() -> float:
    """Return the share of the longest delay to wait: chance, so that retries spread out."""
    return random.uniform(0.5, 1)
