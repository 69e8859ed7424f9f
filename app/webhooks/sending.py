"""Sending one message to one webhook, and noting what came of it."""

from __future__ import annotations

import time
from typing import cast

from flask import Flask, current_app

from app.models import (
    DeliveryAttempt,
    DeliveryOrigin,
    DeliveryStatus,
    Webhook,
    WebhookDelivery,
)
from app.services import now
from app.webhooks.client import EndpointError, WebhookClient
from app.webhooks.messages import WebhookMessage, sign
from config import Settings

KEY = "webhook_client"


def init_app(app: Flask, settings: Settings) -> None:
    """Give the application its client."""
    app.extensions[KEY] = WebhookClient(settings.webhook_allowed_hosts)


def send_message(webhook: Webhook, message: WebhookMessage) -> tuple[DeliveryAttempt, str]:
    """Post a signed message; return the attempt and the Retry-After header of the response."""
    client = cast(WebhookClient, current_app.extensions[KEY])
    began_at, began = now(), time.monotonic()
    body = message.to_json()
    status_code: int | None = None
    error: str | None = None
    retry_after = ""
    try:
        headers = sign(webhook, message.id, body, began_at)
        response = client.post(webhook.url, headers, body.encode())
        status_code, retry_after = response.status_code, response.retry_after
    except EndpointError as failure:
        error = str(failure)
    duration_ms = round((time.monotonic() - began) * 1000)
    return DeliveryAttempt(began_at, duration_ms, status_code, error), retry_after


def log_delivery(
    webhook: Webhook,
    message: WebhookMessage,
    attempt: DeliveryAttempt,
    *,
    origin: DeliveryOrigin,
    failed_status: DeliveryStatus,
) -> WebhookDelivery | None:
    """Write a delivery with its first attempt, in a transaction; None if the webhook is gone."""
    number = Webhook.count_delivery(webhook)
    if number is None:
        return None
    return WebhookDelivery.create(
        webhook_id=webhook.id,
        user_id=webhook.user_id,
        number=number,
        origin=origin,
        event=message.event,
        seq=message.seq,
        status=DeliveryStatus.DELIVERED if attempt.succeeded else failed_status,
        attempt=attempt,
    )
