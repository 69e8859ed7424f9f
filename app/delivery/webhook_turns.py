"""The turn of one webhook: its events are posted one after the other, in the order of their seq.

An event that fails is retried before any later one, so an endpoint sees its events in order. If it
keeps failing for a day, it is disabled and its user is notified. Nothing is skipped: an enabled
webhook continues after the last event it accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from app.clock import Clock
from app.database.transactions import run_transaction
from app.delivery.attempts import MAX_RETRY, draw_jitter, max_delay
from app.delivery.sms import parse_retry_after
from app.events import publish_events, record_events
from app.logs import logger
from app.metrics import metrics
from app.models import (
    DeliveryAttempt,
    DeliveryOrigin,
    DeliveryStatus,
    EventDraft,
    Inbox,
    Notification,
    Webhook,
    WebhookDelivery,
)
from app.webhooks.messages import WebhookMessage
from app.webhooks.sending import log_delivery, send_message
from app.webhooks.service import count_enabled

# Longer than a turn and one more request; after it another worker may take the webhook of a
# killed one.
LEASE = timedelta(minutes=1)
# After this time a webhook makes room for others that are due.
TURN_SECONDS = 5.0
EVENTS_READ = 50
# A webhook is disabled once it has failed for this time, and this often.
MAX_FAILING = timedelta(days=1)
MIN_FAILURES = 10
# By this status an endpoint says that it is gone for good.
GONE = 410


def deliver_events(webhook: Webhook, clock: Clock, is_stopping: Callable[[], bool]) -> None:
    """Post the events of a claimed webhook until there are none, one fails or the turn is over."""
    ends_at = clock.monotonic() + TURN_SECONDS
    while True:
        newest = _newest_seq(webhook)
        if webhook.cursor >= newest:
            _release(webhook, None, clock.now())
            return
        page_end = min(webhook.cursor + EVENTS_READ, newest)
        for event in Notification.find_after(webhook.user_id, webhook.cursor, page_end):
            if webhook.wants(event.type):
                delivered = _deliver(webhook, event, clock)
                if delivered is None:
                    return
                webhook = delivered
            else:
                webhook = webhook.at(event.seq)
            if is_stopping() or clock.monotonic() >= ends_at:
                _release(webhook, clock.now(), clock.now())
                return
        # Numbers at the end of the page may be missing, if their events were deleted.
        webhook = webhook.at(page_end)


def _release(webhook: Webhook, due_at: datetime | None, now: datetime) -> None:
    run_transaction(lambda: webhook.released(due_at, now))


def _newest_seq(webhook: Webhook) -> int:
    inbox = Inbox.find(webhook.user_id)
    return inbox.event_seq if inbox else 0


def _deliver(webhook: Webhook, event: Notification, clock: Clock) -> Webhook | None:
    """Post one event; return the webhook, None if that failed or the claim was lost."""
    message = WebhookMessage.of(event)
    attempt, retry_after = send_message(webhook, message)
    metrics().messages.labels("webhook", "sent" if attempt.succeeded else "failed").inc()
    if attempt.succeeded:
        progress = {
            "cursor": event.seq,
            "failures": 0,
            "failing_since": None,
            "pending_id": None,
            "due_at": clock.now() + LEASE,
        }
        return run_transaction(lambda: _record(webhook, message, attempt, progress))
    reason = attempt.error or f"status {attempt.status_code}"
    host = urlsplit(webhook.url).hostname
    logger.warning("webhook %s at %s: not delivered: %s", webhook.id, host, reason)
    progress = _after_failure(webhook, attempt, retry_after, clock.now())
    publish_events(run_transaction(lambda: _record_failure(webhook, message, attempt, progress)))
    return None


def _record(
    webhook: Webhook, message: WebhookMessage, attempt: DeliveryAttempt, progress: dict[str, Any]
) -> Webhook | None:
    """Write an attempt and the progress of the webhook; None if the claim was lost."""
    pending_id = webhook.pending_id
    status = DeliveryStatus.DELIVERED if attempt.succeeded else DeliveryStatus.PENDING
    if pending_id is not None:
        WebhookDelivery.add_attempt(pending_id, webhook.user_id, attempt, status)
    else:
        delivery = log_delivery(
            webhook, message, attempt, origin=DeliveryOrigin.EVENT, failed_status=status
        )
        pending_id = delivery.id if delivery else None
    if not attempt.succeeded:
        progress = {**progress, "pending_id": pending_id}
    return webhook.progressed(progress)


def _after_failure(
    webhook: Webhook, attempt: DeliveryAttempt, retry_after: str, now: datetime
) -> dict[str, Any]:
    failures = webhook.failures + 1
    since = webhook.failing_since or now
    # The cursor too: events before this one may have been passed over.
    progress = {
        "cursor": webhook.cursor,
        "failures": failures,
        "failing_since": since,
        "claim": None,
    }
    has_failed_long = failures >= MIN_FAILURES and now - since >= MAX_FAILING
    if has_failed_long or attempt.status_code == GONE:
        reason = attempt.error or f"it answered with status {attempt.status_code}"
        ends = {"enabled": False, "disabled_at": now, "disabled_reason": reason}
        return {**progress, **ends, "due_at": None}
    wait = max_delay(failures) * draw_jitter()
    asked = min(parse_retry_after(retry_after, now) or wait, MAX_RETRY)
    return {**progress, "due_at": now + max(wait, asked)}


def _record_failure(
    webhook: Webhook, message: WebhookMessage, attempt: DeliveryAttempt, progress: dict[str, Any]
) -> list[Notification]:
    """Write a failed attempt; return the event that notifies the user of a disabled webhook."""
    changed = _record(webhook, message, attempt, progress)
    if changed is None or changed.enabled:
        return []
    count_enabled(webhook.user_id)
    return record_events([_describe_end(changed)], changed.disabled_at or attempt.at)


def _describe_end(webhook: Webhook) -> EventDraft:
    host = urlsplit(webhook.url).hostname or ""
    return EventDraft(
        user_id=webhook.user_id,
        type="webhook_disabled",
        message=f"Your webhook at {host} was disabled after {webhook.failures} failed attempts: "
        f"{webhook.disabled_reason}. Its events are kept. Once it works, enable it with PATCH "
        f"/notifications/webhooks/{webhook.id}.",
        data={
            "webhook_id": str(webhook.id),
            "host": host,
            "failures": webhook.failures,
            "failing_since": webhook.failing_since,
            "reason": webhook.disabled_reason,
        },
    )
