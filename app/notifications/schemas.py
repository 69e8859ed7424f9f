"""What the notification routes take and answer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from app.models import EventType, Notification, Preferences
from app.web.schemas import Cursor, PageSize, RequestModel, ResponseModel, Timestamp, to_json

Text = StringConstraints(strip_whitespace=True, min_length=1)
EVENT_TYPES = [each.value for each in EventType]


def _event_type(value: Any) -> EventType:
    name = value.lower() if isinstance(value, str) else ""
    if name in EVENT_TYPES:
        return EventType(name)
    raise ValueError(f"must name event types only; these there are: {', '.join(EVENT_TYPES)}")


# A plain list of names in the document, so that clients need to know of no other type.
KnownEvent = Annotated[
    EventType,
    BeforeValidator(_event_type),
    WithJsonSchema({"type": "string", "enum": EVENT_TYPES}),
]


class SendRequest(RequestModel):
    event: Annotated[str, Text, Field(max_length=64)]
    message: Annotated[str, Text, Field(max_length=2_000)]


class NotificationsQuery(RequestModel):
    unread: bool | None = None
    limit: PageSize = 50
    cursor: Cursor | None = None


class PreferencesRequest(RequestModel):
    """All of a user's preferences, in place of those before.

    `events`: the types to be told of. [] is none; null is every type, later ones included, as
    is naming them all. `custom` is every event of POST /notifications whose name is no type.
    """

    email: Annotated[bool, Field(strict=True)]
    sms: Annotated[bool, Field(strict=True)]
    events: Annotated[list[KnownEvent], Field(max_length=100)] | None

    def to_preferences(self) -> Preferences:
        return Preferences.choose(email=self.email, sms=self.sms, events=self.events)


class PreferencesResponse(ResponseModel):
    """By which channels messages go out, and of which events; everything until it is changed."""

    email: bool
    sms: bool
    events: list[str]

    @classmethod
    def of(cls, preferences: Preferences) -> PreferencesResponse:
        events = [each.value for each in preferences.event_types]
        return cls(email=preferences.email, sms=preferences.sms, events=events)


class Delivery(ResponseModel):
    """How one channel went.

    pending, sent, recorded (not sent: no credentials, or the address is not confirmed), failed,
    or skipped (not sent: by the user's preferences or a cap of the day). `error` says why.
    """

    channel: str
    status: str
    attempts: int
    error: str | None = None
    at: Timestamp | None = None


class NotificationView(ResponseModel):
    id: str
    type: str
    message: str
    data: dict[str, Any]
    seq: int
    is_read: bool
    created_at: Timestamp
    deliveries: list[Delivery]

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
            deliveries=[Delivery.model_validate(each) for each in notification.deliveries],
        )


class NotificationsResponse(ResponseModel):
    notifications: list[NotificationView]
    unread_count: int
    next_cursor: str | None
