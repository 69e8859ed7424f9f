"""Codes that prove who reads an address. They bypass the outbox, because the user is waiting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from app.clock import Clock
from app.delivery.allowance import Allowance
from app.delivery.email import EmailSender
from app.delivery.messages import render, render_sms
from app.delivery.senders import DeliveryError, Sender
from app.delivery.sms import SmsSender
from app.domain.errors import Conflict, RateLimited, Unavailable
from app.logs import logger
from app.models import CODE_LIFETIME, CodePurpose, User
from config import Settings

MINUTES = CODE_LIFETIME // timedelta(minutes=1)
TIMEOUT_SECONDS = 20
RETRY_SECONDS = 60 * 60


@dataclass(frozen=True, slots=True)
class CodeMessage:
    """A message with a code."""

    code: str
    purpose: CodePurpose = CodePurpose.CONFIRM
    events: int = 1
    stop_link: None = None

    @property
    def subject(self) -> str:
        return f"{self.code} is your code for Paper Trading"

    @property
    def text(self) -> str:
        return render("code.txt", code=self.code, purpose=self.purpose.value, minutes=MINUTES)

    @property
    def html(self) -> str:
        return render("code.html", subject=self.subject, text=self.text)

    @property
    def sms(self) -> str:
        return render_sms("code_sms.txt", subject=self.subject, minutes=MINUTES)


class CodeMessenger:
    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._allowance = Allowance(settings)

    def send_code(self, user: User, channel: str, code: str, purpose: CodePurpose) -> None:
        """Send a code; raise Conflict, RateLimited or Unavailable if it was not sent."""
        sender = self._sender(channel)
        now = self._clock.now()
        if reason := self._allowance.take(user, channel, now):
            raise RateLimited(
                f"No code can be sent: {reason}.",
                code="too_many_messages",
                retry_after_seconds=RETRY_SECONDS,
            )
        try:
            sender.send(user, CodeMessage(code, purpose))
        except DeliveryError as error:
            self._allowance.give_back(user, channel, now)
            logger.warning("code not sent by %s: %s", channel, error)
            raise _failure(error) from None

    def _sender(self, channel: str) -> Sender:
        settings, clock = self._settings, self._clock
        if channel == "email" and settings.sends_email:
            return EmailSender(settings, clock=clock, seconds=TIMEOUT_SECONDS)
        if channel == "sms" and settings.sends_sms:
            return SmsSender(settings, clock=clock, seconds=TIMEOUT_SECONDS)
        raise Conflict(
            f"This server is not set up to send {channel}, so it cannot send a code.",
            code="channel_not_configured",
        )


def _failure(error: DeliveryError) -> Conflict | Unavailable:
    if error.permanent:
        return Conflict(f"The code could not be sent: {error}.", code="code_not_sent")
    return Unavailable(f"The code could not be sent yet: {error}.", code="code_not_sent")
