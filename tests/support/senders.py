"""A channel of a test's own, and what its messages say."""

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
# With these an application writes its events to be sent. Nobody signs in with them.
CREDENTIALS = {"SMTP_USERNAME": "sender@example.com", "SMTP_PASSWORD": "of no account"}
RECORDING = (RecordingSender("email"), RecordingSender("sms"))


def settings_of(app: Flask) -> Settings:
    with app.app_context():
        return services().settings


def lines_of(message: Message) -> list[str]:
    """Return the events that a message tells of, a line each."""
    return message.text.split("\n\n")[1].splitlines()


class FakeSender:
    """A sender that keeps what it is given, and fails as long as it is told to."""

    outcome = "sent"

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.failure: Exception | None = None
        self.fails_for: str | None = None
        # What happens in the world while a message is being sent.
        self.meanwhile: Callable[[], object] | None = None
        self.tries = 0
        self.letters: list[tuple[str, Message]] = []
        self._changed = threading.Condition()

    def send(self, user: User, message: Message) -> None:
        with self._changed:
            self.tries += 1
            if self.meanwhile:
                self.meanwhile()
            if self.failure and self.fails_for in (None, user.client_id):
                raise self.failure
            self.letters.append((user.client_id, message))
            self._changed.notify_all()

    def verify(self) -> None:
        """There is nothing to sign in to."""

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.letters) >= count, SECONDS)
