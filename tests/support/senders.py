"""A fake sender for one channel, and helpers to read its messages."""

from __future__ import annotations

import threading
from collections.abc import Callable

from flask import Flask

from app.delivery.messages import Message
from app.delivery.senders import RecordingSender
from app.models import User
from app.services import services
from config import Settings

SECONDS = 20
# With these settings an application queues its events for delivery. No test signs in with them.
CREDENTIALS = {"SMTP_USERNAME": "sender@example.com", "SMTP_PASSWORD": "unused"}
RECORDING = (RecordingSender("email"), RecordingSender("sms"))


def settings_of(app: Flask) -> Settings:
    with app.app_context():
        return services().settings


def lines_of(message: Message) -> list[str]:
    """Return the lines of a message, one for each event."""
    return message.text.split("\n\n")[1].splitlines()


class FakeSender:
    """A sender that records its messages, and raises `failure` while that is set."""

    outcome = "sent"

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.failure: Exception | None = None
        self.fails_for: str | None = None
        # Called while a message is being sent.
        self.meanwhile: Callable[[], object] | None = None
        self.tries = 0
        self.sent: list[tuple[str, Message]] = []
        self._changed = threading.Condition()

    def send(self, user: User, message: Message) -> None:
        with self._changed:
            self.tries += 1
            if self.meanwhile:
                self.meanwhile()
            if self.failure and self.fails_for in (None, user.client_id):
                raise self.failure
            self.sent.append((user.client_id, message))
            self._changed.notify_all()

    def verify(self) -> None:
        """Do nothing: there is no server to sign in to."""

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.sent) >= count, SECONDS)
