"""The interface of senders, and the sender that only records."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from app.delivery.messages import Message
from app.logs import logger
from app.models import User


class DeliveryError(Exception):
    """A message was not sent.

    `permanent` means that a retry would not help; `retry_after` is the minimum delay that the
    other side asked for. `remedy` says what the operator should correct, if anything.
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
    # The status of a successful delivery: sent or recorded.
    outcome: str

    def send(self, user: User, message: Message) -> None:
        """Send to the user's address on this channel; raise DeliveryError if that fails."""

    def verify(self) -> None:
        """Sign in without sending anything; raise DeliveryError if that fails."""


class RecordingSender:
    """Sends nothing: it logs a line in place of the message."""

    outcome = "recorded"

    def __init__(self, channel: str) -> None:
        self.channel = channel

    def send(self, user: User, message: Message) -> None:
        """Log the recipient and the number of events; the text is private."""
        fields = {"user": user.client_id, "events": message.events}
        logger.info("%s recorded, not sent", self.channel, extra={"fields": fields})

    def verify(self) -> None:
        """Do nothing: there is no server."""
