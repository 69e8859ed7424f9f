"""Requests and responses of notifications."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from app.models import EventType, Notification, Preferences
from app.web.schemas import (
    ONE_LINE,
    MessageResponse,
    NextCursor,
    PageCursor,
    PageSize,
    RequestModel,
    ResponseModel,
    Timestamp,
    to_json,
    whole_number,
)

Text = StringConstraints(strip_whitespace=True, min_length=1)
EVENT_TYPES = [event_type.value for event_type in EventType]


def _event_type(value: Any) -> EventType:
    name = value.lower() if isinstance(value, str) else ""
    if name in EVENT_TYPES:
        return EventType(name)
    raise ValueError(f"must only name event types: {', '.join(EVENT_TYPES)}")


# A plain list of names in the OpenAPI document, so that it needs no type of its own.
KnownEvent = Annotated[
    EventType, BeforeValidator(_event_type), WithJsonSchema({"type": "string", "enum": EVENT_TYPES})
]


class SendRequest(RequestModel):
    event: Annotated[str, Text, Field(max_length=64), *ONE_LINE] = Field(
        description="The name of the event. 1 to 64 characters.", examples=["reminder"]
    )
    message: Annotated[str, Text, Field(max_length=2_000)] = Field(
        description="The text to send. 1 to 2,000 characters.", examples=["Review the open trades."]
    )


class NotificationsQuery(RequestModel):
    unread: bool | None = Field(
        default=None, description="true: only unread ones; false: only read ones.", examples=[True]
    )
    limit: PageSize = 50
    cursor: PageCursor = None


class MarkAllReadRequest(RequestModel):
    """{} marks all notifications that there are now."""

    up_to_seq: Annotated[int, *whole_number(0, 2**53)] | None = Field(
        default=None,
        description="The `seq` of the last notification to mark. Those that arrived after the "
        "user looked stay unread.",
        examples=[7],
    )


class MarkAllReadResponse(MessageResponse):
    count: int = Field(description="How many were unread until now.", examples=[3])
    unread_count: int = Field(description="The number of unread notifications left.", examples=[0])


class PreferencesRequest(RequestModel):
    """All preferences of a user; they replace the previous ones.

    Naming every type in `events` means the same as null. `custom` stands for every event of
    POST /notifications whose name is not a type.
    """

    email: Annotated[bool, Field(strict=True)] = Field(
        description="Whether to send events by email.", examples=[True]
    )
    sms: Annotated[bool, Field(strict=True)] = Field(
        description="Whether to send events by SMS.", examples=[False]
    )
    events: Annotated[list[KnownEvent], Field(max_length=100)] | None = Field(
        description="The types to send; [] for none, null for all, later types included.",
        examples=[["trade_auto_closed", "price_alert"]],
    )

    def to_preferences(self) -> Preferences:
        return Preferences.choose(email=self.email, sms=self.sms, events=self.events)


class PreferencesResponse(ResponseModel):
    """Which events are sent by which channel. By default all are sent by both."""

    email: bool = Field(description="Whether events are sent by email.", examples=[True])
    sms: bool = Field(description="Whether events are sent by SMS.", examples=[False])
    events: list[str] = Field(
        description="The types that are sent.", examples=[["trade_auto_closed", "price_alert"]]
    )

    @classmethod
    def of(cls, preferences: Preferences) -> PreferencesResponse:
        events = [event_type.value for event_type in preferences.event_types]
        return cls(email=preferences.email, sms=preferences.sms, events=events)


class Delivery(ResponseModel):
    """The state of a delivery on one channel.

    recorded: not sent, because there are no credentials or the address is not confirmed. skipped:
    not sent, because of the user's preferences or a daily limit. `error` says why.
    """

    channel: str = Field(description="The channel: email or sms.", examples=["email"])
    status: str = Field(
        description="pending, sent, recorded, failed or skipped.", examples=["sent"]
    )
    attempts: int = Field(description="The number of attempts so far.", examples=[1])
    error: str | None = Field(
        default=None, description="Why it was not sent; else null.", examples=["no credentials"]
    )
    at: Timestamp | None = Field(
        default=None, description="When the last attempt ended, UTC; null before the first."
    )


class NotificationView(ResponseModel):
    id: str = Field(
        description="The id of the notification.", examples=["6744a1f0c2d5e8b7a9f01234"]
    )
    type: str = Field(description="The type of the event.", examples=["trade_auto_closed"])
    message: str = Field(
        description="The event in words.",
        examples=[
            "Target reached: your BUY of 2 ^NSEI was closed at Rs 24,452.10, a profit of Rs 483.10."
        ],
    )
    data: dict[str, Any] = Field(
        description="The event as data; docs/events.md lists the fields of each type.",
        examples=[{"trade_id": "6744a1f0c2d5e8b7a9f01234", "pnl": 483.1}],
    )
    seq: int = Field(description="The number of the event among the user's, from 1.", examples=[7])
    is_read: bool = Field(description="Whether the user has read it.", examples=[False])
    created_at: Timestamp = Field(description="When the event was written, UTC.")
    deliveries: list[Delivery] = Field(description="The delivery on each channel.")

    @classmethod
    def of(cls, notification: Notification) -> NotificationView:
        return cls(
            id=str(notification.id),
            type=notification.type,
            message=notification.message,
            data=to_json(notification.data),
            seq=notification.seq,
            is_read=notification.is_read,
            created_at=notification.created_at,
            deliveries=[Delivery.model_validate(delivery) for delivery in notification.deliveries],
        )


class NotificationsResponse(ResponseModel):
    notifications: list[NotificationView] = Field(description="The notifications, newest first.")
    unread_count: int = Field(
        description="The number of unread notifications in all.", examples=[3]
    )
    next_cursor: NextCursor
