"""Creating, changing and testing webhooks, and reading their log."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from operator import attrgetter
from typing import Any

from bson import ObjectId

from app.database import object_id
from app.database.transactions import run_transaction
from app.domain.errors import AccountGone, Conflict, NotFound
from app.models import (
    DeliveryOrigin,
    DeliveryStatus,
    EventType,
    Inbox,
    Notification,
    Webhook,
    WebhookDelivery,
)
from app.models.paging import read_page
from app.services import now, services
from app.webhooks.addresses import check_url
from app.webhooks.messages import TEST_EVENT, WebhookMessage, secret_of
from app.webhooks.sending import log_delivery, send_message

MAX_WEBHOOKS = 5


def create_webhook(
    user_id: str, url: str, events: frozenset[EventType] | None, description: str
) -> tuple[Webhook, str]:
    """Create a webhook for the events from now on; return it and its secret.

    Raises InvalidRequest for a URL that is refused, Conflict if there are too many, AccountGone.
    """
    url = _checked(url)

    def write() -> Webhook:
        inbox = Inbox.find(user_id)
        if inbox is None:
            raise AccountGone
        if len(Webhook.find_by_user_id(user_id)) >= MAX_WEBHOOKS:
            raise Conflict(
                f"You have {MAX_WEBHOOKS} webhooks, which is the maximum. Delete one first.",
                code="too_many_webhooks",
                details={"limit": MAX_WEBHOOKS},
            )
        webhook = Webhook.create(
            user_id=user_id,
            url=url,
            description=description,
            events=events,
            created_at=now(),
            cursor=inbox.event_seq,
        )
        count_enabled(user_id)
        return webhook

    webhook = run_transaction(
        write,
        already_committed=lambda webhook: Webhook.find(webhook.id, user_id) is not None,
        user_ids=[user_id],
    )
    return webhook, secret_of(webhook)


def list_webhooks(user_id: str) -> list[Webhook]:
    """Return the user's webhooks, newest first."""
    return Webhook.find_by_user_id(user_id)


def get_webhook(user_id: str, webhook_id: str) -> Webhook:
    """Return a webhook of the user; raise NotFound if there is none."""
    id = object_id(webhook_id)
    webhook = Webhook.find(id, user_id) if id else None
    if webhook is None:
        raise NotFound("You have no webhook with this id.", code="webhook_not_found")
    return webhook


def change_webhook(user_id: str, webhook_id: str, changes: Mapping[str, Any]) -> Webhook:
    """Store the changes that are given: url, events, description, enabled, after_seq.

    Enabling forgets earlier failures. With `after_seq`, each later event is delivered again.
    Raises NotFound, and InvalidRequest for a URL that is refused.
    """
    fields = {name: changes[name] for name in ("description", "enabled") if name in changes}
    if "url" in changes:
        fields["url"] = _checked(changes["url"])
    if "events" in changes:
        events = changes["events"]
        fields["events"] = None if events is None else [event.value for event in events]

    def write() -> Webhook:
        webhook = get_webhook(user_id, webhook_id)
        stored = {**fields, **_state_after(webhook, fields, changes.get("after_seq"))}
        changed = Webhook.update(webhook, stored)
        assert changed is not None, "the transaction has read it"
        count_enabled(user_id)
        return changed

    return run_transaction(write, user_ids=[user_id])


def delete_webhook(user_id: str, webhook_id: str) -> None:
    """Delete a webhook with its log; raise NotFound for an unknown one."""
    webhook = get_webhook(user_id, webhook_id)

    def write() -> None:
        Webhook.delete(webhook.id, user_id)
        count_enabled(user_id)

    run_transaction(write, user_ids=[user_id])
    run_transaction(lambda: WebhookDelivery.delete_all(webhook.id, user_id), user_ids=[user_id])


def rotate_secret(user_id: str, webhook_id: str) -> tuple[Webhook, str]:
    """Give a webhook a new secret; the previous one signs as well for a day."""

    def write() -> Webhook:
        webhook = get_webhook(user_id, webhook_id)
        version = webhook.secret_version + 1
        changed = Webhook.update(webhook, {"secret_version": version, "rotated_at": now()})
        assert changed is not None, "the transaction has read it"
        return changed

    webhook = run_transaction(write, user_ids=[user_id])
    return webhook, secret_of(webhook)


def send_test(user_id: str, webhook_id: str) -> WebhookDelivery:
    """Send a test message now, also to a disabled webhook; return the delivery."""
    webhook = get_webhook(user_id, webhook_id)
    data = {"message": "This is a test of your webhook."}
    message = WebhookMessage(str(ObjectId()), TEST_EVENT, data, None, now())
    return _send_now(webhook, message, DeliveryOrigin.TEST)


def replay(user_id: str, webhook_id: str, delivery_id: str) -> WebhookDelivery:
    """Send the event of a delivery again now; return the new delivery.

    Raises NotFound for an unknown delivery, Conflict if its event is not stored any more.
    """
    webhook = get_webhook(user_id, webhook_id)
    id = object_id(delivery_id)
    delivery = WebhookDelivery.find(id, webhook.id, user_id) if id else None
    if delivery is None:
        raise NotFound("This webhook has no delivery with this id.", code="delivery_not_found")
    if delivery.seq is None:
        return send_test(user_id, webhook_id)
    events = Notification.find_after(user_id, delivery.seq - 1, delivery.seq)
    if not events:
        raise Conflict("The server does not keep this event any more.", code="event_deleted")
    return _send_now(webhook, WebhookMessage.of(events[0]), DeliveryOrigin.REPLAY)


def list_deliveries(
    user_id: str,
    webhook_id: str,
    *,
    status: DeliveryStatus | None = None,
    cursor: int | None = None,
    limit: int,
) -> tuple[list[WebhookDelivery], str | None]:
    """Return a page of the log, newest first, and the cursor of the next one."""
    webhook = get_webhook(user_id, webhook_id)
    return read_page(
        partial(WebhookDelivery.find_by_webhook_id, webhook.id, user_id, status=status),
        attrgetter("number"),
        cursor=cursor,
        newest=webhook.delivery_count,
        limit=limit,
    )


def count_enabled(user_id: str) -> None:
    """Store, in the current transaction, how many enabled webhooks the user has."""
    enabled = [webhook for webhook in Webhook.find_by_user_id(user_id) if webhook.enabled]
    Inbox.save_webhooks(user_id, len(enabled))


def _checked(url: str) -> str:
    settings = services().settings
    plain_http = settings.app_env != "production"
    return check_url(url, settings.webhook_allowed_hosts, plain_http=plain_http)


def _state_after(
    webhook: Webhook, changes: Mapping[str, Any], after_seq: int | None
) -> dict[str, Any]:
    """Return the state of delivery that follows from the user's changes."""
    enabled = changes.get("enabled", webhook.enabled)
    state: dict[str, Any] = {"due_at": now() if enabled else None}
    if enabled and (not webhook.enabled or "url" in changes):
        state |= {"failures": 0, "failing_since": None}
        state |= {"disabled_at": None, "disabled_reason": None}
    elif webhook.enabled and not enabled:
        state |= {"disabled_at": now(), "disabled_reason": "by you"}
    if after_seq is not None:
        inbox = Inbox.find(webhook.user_id)
        state["cursor"] = min(after_seq, inbox.event_seq if inbox else 0)
        if webhook.pending_id is not None:
            WebhookDelivery.give_up(webhook.pending_id, webhook.user_id)
            state["pending_id"] = None
    return state


def _send_now(webhook: Webhook, message: WebhookMessage, origin: DeliveryOrigin) -> WebhookDelivery:
    attempt, _ = send_message(webhook, message)
    delivery = run_transaction(
        lambda: log_delivery(
            webhook, message, attempt, origin=origin, failed_status=DeliveryStatus.FAILED
        ),
        user_ids=[webhook.user_id],
    )
    if delivery is None:
        raise NotFound("You have no webhook with this id.", code="webhook_not_found")
    return delivery
