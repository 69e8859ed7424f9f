"""Senders: what every channel's way out has in common, and the one that sends nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from app.delivery.messages import Message
from app.logs import logger
from app.models import User


class DeliveryError(Exception):
    """A message did not go out.

    `permanent` where trying again would not help; `retry_after` where the other side said how
    long to wait at least. `remedy` tells whoever runs the server what to correct, if anything.
    """

    def __init__(
        self,
        reason: str,
        *,
        permanent: bool = False,
        retry_after: timedelta | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(reason)
        self.permanent = permanent
        self.retry_after = retry_after
        self.remedy = remedy


class Sender(Protocol):
    channel: str
    # What a delivery that went through is called: sent, or recorded.
    outcome: str

    def send(self, user: User, message: Message) -> None:
        """Send to the user's address on this channel; raise DeliveryError where it fails."""

    def verify(self) -> None:
        """Sign in without sending anything; raise DeliveryError where that fails."""


class RecordingSender:
    """Sends nothing: a line in the log stands for the message."""

    outcome = "recorded"

    def __init__(self, channel: str) -> None:
        self.channel = channel

    def send(self, user: User, message: Message) -> None:
        """Log that there was a message, and for whom; its words are theirs alone."""
        fields = {"user": user.client_id, "events": message.events}
        logger.info("%s recorded, not sent", self.channel, extra={"fields": fields})

    def verify(self) -> None:
        """There is nothing to sign in to."""
