"""A recipient and messages, without a database."""

from __future__ import annotations

from typing import Any

from bson import ObjectId

from app.delivery.messages import EventMessage, compose
from app.models import Notification, User
from tests.support.quotes import NOON

ALICE = User(
    id=ObjectId(),
    client_id="alice",
    name="Alice Ünal",
    email="alice@example.com",
    phone="+919876543210",
    password_hash="-",
    created_at=NOON,
)


def notification(message: str, type: str = "greeting", **figures: Any) -> Notification:
    return Notification(
        id=ObjectId(),
        user_id="alice",
        seq=1,
        type=type,
        message=message,
        data=figures,
        is_read=False,
        created_at=NOON,
        deliveries=[],
    )


def saying(message: str) -> EventMessage:
    """Return the message that the outbox composes of an event with this text."""
    return compose(ALICE.name, [notification(message)], {})
