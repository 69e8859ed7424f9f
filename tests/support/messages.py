"""A recipient and messages, without a database."""

from __future__ import annotations

from decimal import Decimal
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
BALANCE = {"default": Decimal("123456.50")}


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


OPENED = notification(
    "Bought 2 ^NSEI at ₹25,000.00 with stop-loss ₹24,900.00.",
    "trade_created",
    trade_type="BUY",
    quantity=2,
    symbol="^NSEI",
    entry_price=Decimal("25000.00"),
    stop_loss=Decimal("24900.00"),
    target_price=None,
    margin_used=Decimal("10000.00"),
    available_margin=Decimal("90000.00"),
)


def closed(reason: str = "stop_loss", pnl: str = "-10.50") -> Notification:
    return notification(
        "Stop-loss hit: your SELL of 1 ^NSEI was closed at ₹25,010.50, a loss of ₹10.50.",
        "trade_exited" if reason == "user" else "trade_auto_closed",
        trade_type="SELL",
        quantity=1,
        symbol="^NSEI",
        reason=reason,
        exit_price=Decimal("25010.50"),
        pnl=Decimal(pnl),
    )


def saying(message: str) -> EventMessage:
    """Return the message that the outbox composes of an event with this text."""
    return compose(ALICE.name, [notification(message)], {})
