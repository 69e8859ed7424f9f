"""Requests and responses of webhooks."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from app.models import DeliveryOrigin, DeliveryStatus, Webhook, WebhookDelivery
from app.notifications.schemas import KnownEvent
from app.web.schemas import (
    ONE_LINE,
    NextCursor,
    PageCursor,
    PageSize,
    RequestModel,
    ResponseModel,
    Timestamp,
    choice,
    whole_number,
)

_URL = Field(
    description="Where to post events: https, on the public internet.",
    examples=["https://bot.example.com/events"],
)
_EVENTS = Field(
    description="The types to deliver; null for all, later types included.",
    examples=[["trade_exited", "trade_auto_closed"]],
)
_DESCRIPTION = Field(description="What it is for, for yourself.", examples=["My journal"])
_ENABLED = Field(description="Whether events are delivered.", examples=[True])
Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_048), _URL]
Events = Annotated[Annotated[list[KnownEvent], Field(min_length=1, max_length=100)] | None, _EVENTS]
Description = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=200), *ONE_LINE, _DESCRIPTION
]


class CreateWebhookRequest(RequestModel):
    url: Url
    events: Events = None
    description: Description = ""


class ChangeWebhookRequest(RequestModel):
    """What is left out stays as it is."""

    url: Url = ""
    events: Events = None
    description: Description = ""
    enabled: Annotated[bool, Field(strict=True), _ENABLED] = True
    after_seq: Annotated[int, *whole_number(0, 2**53)] = Field(
        default=0,
        description="Deliver each event after this seq, again if it was delivered already. A seq "
        "beyond the last event skips all events so far.",
        examples=[41],
    )

    def to_changes(self) -> dict[str, Any]:
        """Return the fields that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class WebhookView(ResponseModel):
    """A webhook and the state of its deliveries."""

    webhook_id: str = Field(
        description="The id of the webhook.", examples=["6744a1f0c2d5e8b7a9f01238"]
    )
    url: Annotated[str, _URL]
    events: Annotated[list[str] | None, _EVENTS]
    description: Annotated[str, _DESCRIPTION]
    enabled: Annotated[bool, _ENABLED]
    created_at: Timestamp = Field(description="When it was created, UTC.")
    last_seq: int = Field(
        description="The seq of the last event it is done with: accepted, or not chosen.",
        examples=[41],
    )
    failures: int = Field(
        description="The failed attempts since the last event it accepted.", examples=[0]
    )
    failing_since: Timestamp | None = Field(
        description="When the first of these was, UTC; else null.",
        examples=["2026-11-27T05:30:00.000Z"],
    )
    next_attempt_at: Timestamp | None = Field(
        description="When the next attempt is due, UTC; null while there is nothing to deliver.",
        examples=["2026-11-27T05:30:10.000Z"],
    )
    disabled_at: Timestamp | None = Field(
        description="When it was disabled, UTC; else null.", examples=["2026-11-28T05:30:00.000Z"]
    )
    disabled_reason: str | None = Field(
        description="Why it was disabled; else null.", examples=["it answered with status 410"]
    )

    @classmethod
    def of(cls, webhook: Webhook) -> WebhookView:
        return cls.model_validate(_shown(webhook))


class SecretWebhook(WebhookView):
    """A webhook with its secret, which no other response has."""

    secret: str = Field(
        description="The secret that signs its messages. Keep it now: it is not shown again.",
        examples=["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],
    )

    @classmethod
    def with_secret(cls, webhook: Webhook, secret: str) -> SecretWebhook:
        return cls.model_validate({**_shown(webhook), "secret": secret})


class WebhooksResponse(ResponseModel):
    webhooks: list[WebhookView] = Field(description="Your webhooks, newest first.")


class DeliveriesQuery(RequestModel):
    status: Annotated[DeliveryStatus, choice(DeliveryStatus)] | None = Field(
        default=None, description="Only deliveries of this status.", examples=["failed"]
    )
    limit: PageSize = 50
    cursor: PageCursor = None


class AttemptView(ResponseModel):
    """One request to the endpoint."""

    at: Timestamp = Field(description="When it began, UTC.")
    duration_ms: int = Field(description="How long it took, in milliseconds.", examples=[84])
    status_code: int | None = Field(
        description="The status of the response; null without one.", examples=[200]
    )
    error: str | None = Field(
        description="Why there was no response; else null.",
        examples=["the endpoint did not answer in time"],
    )


class DeliveryView(ResponseModel):
    """One message to the endpoint, with its latest attempts."""

    delivery_id: str = Field(
        description="The id of the delivery.", examples=["6744a1f0c2d5e8b7a9f01239"]
    )
    origin: DeliveryOrigin = Field(
        description="Why it was sent: event, replay or test.", examples=["event"]
    )
    event: str = Field(description="The type of the event.", examples=["trade_exited"])
    seq: int | None = Field(description="The seq of the event; null for a test.", examples=[41])
    status: DeliveryStatus = Field(
        description="pending (it is retried), delivered or failed.", examples=["delivered"]
    )
    created_at: Timestamp = Field(description="When the first attempt began, UTC.")
    attempt_count: int = Field(description="The number of attempts so far.", examples=[1])
    attempts: list[AttemptView] = Field(description="The last 20 attempts, oldest first.")

    @classmethod
    def of(cls, delivery: WebhookDelivery) -> DeliveryView:
        fields = {name: getattr(delivery, name) for name in cls.model_fields if name in _LOGGED}
        attempts = [AttemptView.model_validate(attempt) for attempt in delivery.attempts]
        return cls(delivery_id=str(delivery.id), attempts=attempts, **fields)


class DeliveriesResponse(ResponseModel):
    deliveries: list[DeliveryView] = Field(description="The deliveries, newest first.")
    next_cursor: NextCursor


_LOGGED = ("origin", "event", "seq", "status", "created_at", "attempt_count")
_STATE = (
    *("url", "description", "enabled", "created_at", "failures", "failing_since"),
    *("disabled_at", "disabled_reason"),
)


def _shown(webhook: Webhook) -> dict[str, object]:
    return {
        "webhook_id": str(webhook.id),
        "events": webhook.event_names,
        "last_seq": webhook.cursor,
        "next_attempt_at": webhook.due_at,
        **{name: getattr(webhook, name) for name in _STATE},
    }
