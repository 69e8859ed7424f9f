"""Senders: how a message leaves the house, or, without credentials, is recorded instead."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Protocol

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from app.logs import logger
from app.models import User
from config import Settings

TIMEOUT_SECONDS = 20
# Twilio refuses longer bodies (error 21617).
LONGEST_SMS = 1_600


class DeliveryError(Exception):
    """A message did not go out; `permanent` where trying again would not help."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Message:
    subject: str
    text: str


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
        """Log that there was a message, and for whom."""
        fields = {"user": user.client_id, "subject": repr(message.subject)}
        logger.info("%s recorded, not sent", self.channel, extra={"fields": fields})

    def verify(self) -> None:
        """There is nothing to sign in to."""


class EmailSender:
    """Sends by SMTP: TLS from the start on port 465, by STARTTLS on any other."""

    channel = "email"
    outcome = "sent"

    def __init__(self, settings: Settings) -> None:
        self._server = (settings.smtp_server, settings.smtp_port)
        self._username = settings.smtp_username
        self._password = settings.smtp_password
        self._from = settings.smtp_from or settings.smtp_username
        self._tls = ssl.create_default_context()

    def send(self, user: User, message: Message) -> None:
        """Send one plain-text message."""
        mail = EmailMessage()
        mail["Subject"] = message.subject
        mail["From"] = self._from
        mail["To"] = user.email
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain=self._from.rpartition("@")[2] or None)
        mail.set_content(f"Hello {user.name},\n\n{message.text}\n")
        with self._signed_in() as server:
            server.send_message(mail)

    def verify(self) -> None:
        """Sign in to the server and out again."""
        with self._signed_in() as server:
            server.noop()

    @contextmanager
    def _signed_in(self) -> Iterator[smtplib.SMTP]:
        try:
            with self._connect() as server:
                server.login(self._username, self._password.get_secret_value())
                yield server
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            raise DeliveryError(f"recipient refused ({code})", permanent=code >= 500) from None
        except (smtplib.SMTPException, OSError) as error:
            # The name alone: a server's answer to a failed login may quote what it was sent.
            raise DeliveryError(type(error).__name__) from None

    def _connect(self) -> smtplib.SMTP:
        if self._server[1] == smtplib.SMTP_SSL_PORT:
            return smtplib.SMTP_SSL(*self._server, timeout=TIMEOUT_SECONDS, context=self._tls)
        server = smtplib.SMTP(*self._server, timeout=TIMEOUT_SECONDS)
        server.starttls(context=self._tls)
        return server


class SmsSender:
    """Sends by Twilio."""

    channel = "sms"
    outcome = "sent"

    def __init__(self, settings: Settings) -> None:
        self._client = Client(
            settings.twilio_account_sid,
            settings.twilio_auth_token.get_secret_value(),
            http_client=TwilioHttpClient(timeout=TIMEOUT_SECONDS),
        )
        if settings.twilio_root_url:
            self._client.api.base_url = settings.twilio_root_url.rstrip("/")
        self._account_sid = settings.twilio_account_sid
        self._from = settings.twilio_phone_number

    def send(self, user: User, message: Message) -> None:
        """Send one text message."""
        with _twilio_errors():
            self._client.messages.create(
                to=user.phone, from_=self._from, body=message.text[:LONGEST_SMS]
            )

    def verify(self) -> None:
        """Look the account up."""
        with _twilio_errors():
            self._client.api.accounts(self._account_sid).fetch()


@contextmanager
def _twilio_errors() -> Iterator[None]:
    try:
        yield
    except TwilioRestException as error:
        permanent = 400 <= error.status < 500 and error.status not in (408, 429)
        raise DeliveryError(
            f"Twilio answered {error.status} (error {error.code})", permanent=permanent
        ) from None
    except Exception as error:
        # Whatever its HTTP client raises on a broken connection: twilio wraps none of it.
        raise DeliveryError(type(error).__name__) from None


def create_senders(settings: Settings) -> list[Sender]:
    """Return a sender for each channel: real with credentials, recording without."""
    email = EmailSender(settings) if settings.sends_email else RecordingSender("email")
    sms = SmsSender(settings) if settings.sends_sms else RecordingSender("sms")
    return [email, sms]
