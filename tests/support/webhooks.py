"""Webhooks of users, and the events that they receive."""

from __future__ import annotations

from collections.abc import Sequence

from app.database.transactions import run_transaction
from app.events import publish_events, record_events
from app.models import EventType, Notification, Webhook, WebhookDelivery
from app.services import now
from app.webhooks.service import create_webhook, list_deliveries
from tests.fakes.endpoint import Endpoint
from tests.support.factories import draft
from tests.support.market import ManualClock


def hook(
    endpoint: Endpoint, user_id: str = "alice", events: Sequence[EventType] | None = None
) -> Webhook:
    chosen = None if events is None else frozenset(events)
    url = f"http://127.0.0.1:{endpoint.port}/"
    return create_webhook(user_id, url, chosen, "")[0]


def write(user_id: str = "alice", count: int = 1) -> list[Notification]:
    """Write events and publish them, as a service does."""
    drafts = [draft(user_id) for _ in range(count)]
    events = run_transaction(lambda: record_events(drafts, now()))
    publish_events(events)
    return events


def current(webhook: Webhook) -> Webhook:
    found = Webhook.find(webhook.id, webhook.user_id)
    assert found is not None
    return found


def log(webhook: Webhook) -> list[WebhookDelivery]:
    return list_deliveries(webhook.user_id, str(webhook.id), limit=500)[0]


def wait_for_retry(webhook: Webhook, clock: ManualClock) -> float:
    """Advance the clock to the next attempt; return the seconds."""
    due_at = current(webhook).due_at
    assert due_at is not None
    seconds = (due_at - clock.now()).total_seconds()
    clock.advance(max(seconds, 0) + 0.001)
    return seconds
