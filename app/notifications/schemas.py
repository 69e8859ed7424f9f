"""What the notification routes take and answer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from app.models import Notification
from app.schemas import MAXIMUM_PAGE, RequestModel, ResponseModel, Timestamp, to_json

Text = StringConstraints(strip_whitespace=True, min_length=1)


class SendRequest(RequestModel):
    event: Annotated[str, Text, Field(max_length=64)]
    message: Annotated[str, Text, Field(max_length=2_000)]


class NotificationsQuery(RequestModel):
    unread: bool | None = None
    limit: Annotated[int, Field(ge=1, le=MAXIMUM_PAGE)] = 50
    cursor: Annotated[int, Field(ge=1, le=2**53)] | None = None


class MessageResponse(ResponseModel):
    message: str


class Delivery(ResponseModel):
    """How one channel went: pending, sent, recorded (not sent: no credentials) or failed."""

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
