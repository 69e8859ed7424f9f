"""Codes that confirm an address: sent at once, since whoever asked for one waits for it."""

from __future__ import annotations

from html import escape

from app.clock import Clock
from app.delivery.allowance import Allowance
from app.delivery.email import EmailSender
from app.delivery.messages import Message
from app.delivery.senders import DeliveryError, Sender
from app.delivery.sms import SmsSender
from app.domain.errors import Conflict, RateLimited, Unavailable
from app.logs import logger
from app.models import User
from config import Settings

SECONDS = 20
RETRY_SECONDS = 60 * 60
_TEXT = """{code} is your code for Paper Trading. It is valid for 10 minutes.

Enter it to confirm that this address is yours. If you did not ask for it, someone else gave your
address. Ignore this message; nothing else is sent to an address that is not confirmed.
"""


class CodeMessenger:
    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._allowance = Allowance(settings)

    def send_code(self, user: User, channel: str, code: str) -> None:
        """Send a code at once; raise Conflict, RateLimited or Unavailable if it did not go out."""
        sender = self._sender(channel)
        now = self._clock.now()
        if reason := self._allowance.take(user, channel, now):
            raise RateLimited(
                f"No code can be sent: {reason}.",
                code="too_many_messages",
                retry_after_seconds=RETRY_SECONDS,
            )
        try:
            sender.send(user, _message(code))
        except DeliveryError as error:
            self._allowance.give_back(user, channel, now)
            logger.warning("code not sent by %s: %s", channel, error)
            raise _failure(error) from None

    def _sender(self, channel: str) -> Sender:
        settings, clock = self._settings, self._clock
        if channel == "email" and settings.sends_email:
            return EmailSender(settings, clock=clock, seconds=SECONDS)
        if channel == "sms" and settings.sends_sms:
            return SmsSender(settings, clock=clock, seconds=SECONDS)
        raise Conflict(
            f"This server is not set up to send {channel}, so it cannot send a code.",
            code="channel_not_configured",
        )


def _failure(error: DeliveryError) -> Conflict | Unavailable:
    if error.permanent:
        return Conflict(f"The code could not be sent: {error}.", code="code_not_sent")
    return Unavailable(f"The code could not be sent yet: {error}.", code="code_not_sent")


def _message(code: str) -> Message:
    text = _TEXT.format(code=code)
    title = f"{code} is your code for Paper Trading"
    paragraphs = "".join(f"<p>{escape(each)}</p>" for each in text.split("\n\n"))
    return Message(
        subject=title,
        text=text,
        html=f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"</head><body>{paragraphs}</body></html>\n",
        sms=f"{title}. It is valid for 10 minutes.",
        events=1,
    )
