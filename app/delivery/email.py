"""Email by SMTP, over TLS and with a login."""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import EmailPolicy, Policy
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Any

from pydantic import SecretStr

from app.clock import Clock, SystemClock
from app.delivery.links import display_name
from app.delivery.messages import Message
from app.delivery.senders import DeliveryError
from app.delivery.summaries import one_line
from app.domain.contact import ascii_domain
from app.models import User
from config import Settings

CONNECT_TIMEOUT_SECONDS = 20
# A whole session with the server: well within the lease of the outbox.
SESSION_TIMEOUT_SECONDS = 60
QUIT_TIMEOUT_SECONDS = 3
FROM_NAME = "Paper Trading"
# smtplib would look up its own host name, which can block every greenlet for seconds.
OWN_NAME = "[127.0.0.1]"
GMAIL = "smtp.gmail.com"
GMAIL_REMEDY = (
    "put an app password, not your own, into SMTP_PASSWORD: "
    "https://myaccount.google.com/apppasswords (2-Step Verification must be on)"
)


class _OneLineHeader(UnstructuredHeader, BaseHeader):
    """A header that is not folded: folding encodes a long link, which breaks it."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _OneLineHeader)
_POLICY = EmailPolicy(header_factory=_HEADERS)


class EmailSender:
    """Sends by SMTP: TLS from the start on port 465, STARTTLS on any other port."""

    channel = "email"
    outcome = "sent"

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        tls_port: int = smtplib.SMTP_SSL_PORT,
        seconds: float = SESSION_TIMEOUT_SECONDS,
    ) -> None:
        self._server = (settings.smtp_server, settings.smtp_port)
        self._username = settings.smtp_username
        self._password = login_password(self._server[0], settings.smtp_password)
        name, self._address = parseaddr(settings.smtp_from or settings.smtp_username)
        self._name = name or FROM_NAME
        self._clock = clock or SystemClock()
        self._tls_port = tls_port
        self._seconds = seconds
        self._tls = ssl.create_default_context()

    def send(self, user: User, message: Message) -> None:
        """Send one message, as text and as HTML."""
        mail = self._write(user, message)
        with self._signed_in() as server:
            _require_smtputf8(server, mail)
            server.send_message(mail)

    def verify(self) -> None:
        """Sign in to the server without sending anything."""
        self._sender()
        with self._signed_in() as server:
            server.noop()

    def _write(self, user: User, message: Message) -> EmailMessage:
        sender = self._sender()
        mail = EmailMessage(policy=_POLICY)
        mail["Subject"] = one_line(message.subject)
        mail["From"] = sender
        mail["To"] = _address(display_name(user.name), user.email)
        mail["Date"] = format_datetime(self._clock.now())
        mail["Message-ID"] = make_msgid(domain=sender.domain)
        # RFC 3834: out-of-office programs do not reply to it.
        mail["Auto-Submitted"] = "auto-generated"
        if message.stop_link:
            # RFC 8058: the unsubscribe button of mail programs.
            mail["List-Unsubscribe"] = f"<{message.stop_link}>"
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        # Encoded in 7 bits: not every server accepts 8.
        mail.set_content(message.text, cte="quoted-printable")
        mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
        return mail

    def _sender(self) -> Address:
        if "@" not in self._address:
            raise DeliveryError(
                "the sender is not an email address",
                permanent=True,
                remedy="set SMTP_FROM to the address to send from: SMTP_USERNAME is not one",
            )
        return _address(self._name, self._address)

    @contextmanager
    def _signed_in(self) -> Iterator[smtplib.SMTP]:
        try:
            server = self._connect()
            try:
                if not isinstance(server, smtplib.SMTP_SSL):
                    server.starttls(context=self._tls)
                server.login(self._username, self._password.get_secret_value())
                yield server
            finally:
                _leave(server)
        except OSError as error:
            # The base class of the errors of smtplib, TLS and the network.
            raise explain(error, self._server[0]) from None
        except UnicodeError:
            # smtplib can only log in with ASCII.
            raise DeliveryError(
                "the login of the mail server cannot be sent",
                permanent=True,
                remedy="use only ASCII characters in SMTP_USERNAME and SMTP_PASSWORD",
            ) from None

    def _connect(self) -> _Session:
        ends_at = time.monotonic() + self._seconds
        if self._server[1] == self._tls_port:
            return _TlsSession(ends_at, self._server, context=self._tls)
        return _Session(ends_at, self._server)


class _Session(smtplib.SMTP):
    """An SMTP session with a deadline for the whole session, rather than for each reply."""

    def __init__(self, ends_at: float, server: tuple[str, int], **options: Any) -> None:
        self.ends_at = ends_at
        options |= {"local_hostname": OWN_NAME, "timeout": CONNECT_TIMEOUT_SECONDS}
        super().__init__(*server, **options)

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None:
            self.sock.settimeout(max(self.ends_at - time.monotonic(), 0.01))
        return super().getreply()


class _TlsSession(_Session, smtplib.SMTP_SSL):
    """A session over TLS from the start."""


def login_password(host: str, password: SecretStr) -> SecretStr:
    """Return the password to log in with: Gmail shows app passwords with spaces in between."""
    text = password.get_secret_value()
    return SecretStr("".join(text.split())) if host.lower() == GMAIL else password


def explain(error: OSError, host: str) -> DeliveryError:
    """Return the DeliveryError for an error of a session with `host`; a 5xx is permanent."""
    # Only the code: a server's reply to a failed login may quote the credentials.
    code = _code(error)
    reason, remedy = next((why, cure) for kind, why, cure in _FAULTS if isinstance(error, kind))
    if isinstance(error, smtplib.SMTPAuthenticationError) and host.lower() == GMAIL:
        remedy = GMAIL_REMEDY
    text = f"{reason} ({code})" if code else reason
    return DeliveryError(text, permanent=code >= 500, remedy=remedy)


def _leave(server: _Session) -> None:
    # An accepted message stays accepted even if QUIT fails.
    server.ends_at = min(server.ends_at, time.monotonic() + QUIT_TIMEOUT_SECONDS)
    with suppress(OSError):
        server.quit()
    server.close()


def _address(name: str, address: str) -> Address:
    """Return an address with its domain in punycode, which every server accepts."""
    username, _, domain = address.rpartition("@")
    try:
        return Address(display_name=name, username=username, domain=ascii_domain(domain))
    except ValueError:
        raise DeliveryError(
            "the domain of an email address is not a domain name", permanent=True
        ) from None


def _require_smtputf8(server: smtplib.SMTP, mail: EmailMessage) -> None:
    """Raise DeliveryError if an address needs SMTPUTF8 and the server does not have it."""
    server.ehlo_or_helo_if_needed()
    for header, remedy in (("To", ""), ("From", "set SMTP_FROM to an ASCII address")):
        names = [address.username for address in mail[header].addresses]
        if not all(map(str.isascii, names)) and not server.has_extn("smtputf8"):
            raise DeliveryError(
                "the mail server accepts only ASCII before the @ (no SMTPUTF8)",
                permanent=True,
                remedy=remedy,
            )


def _code(error: OSError) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return int(next(iter(error.recipients.values()))[0])
    return int(error.smtp_code) if isinstance(error, smtplib.SMTPResponseException) else 0


_NETWORK = "check SMTP_SERVER and SMTP_PORT, and that no firewall is in between"
_TLS = "SMTP_PORT is 465 for TLS from the start, 587 for STARTTLS; SMTP_SERVER is the server's name"
# Error class, reason, remedy; subclasses before their base classes.
_FAULTS: tuple[tuple[type[OSError], str, str], ...] = (
    (smtplib.SMTPRecipientsRefused, "the mail server refused the recipient", ""),
    (
        smtplib.SMTPAuthenticationError,
        "the mail server refused the login",
        "correct SMTP_USERNAME and SMTP_PASSWORD",
    ),
    (
        smtplib.SMTPSenderRefused,
        "the mail server refused the sender",
        "set SMTP_FROM to an address that this account may send from",
    ),
    (smtplib.SMTPDataError, "the mail server refused the message", ""),
    (smtplib.SMTPResponseException, "the mail server answered with an error", _NETWORK),
    (
        smtplib.SMTPNotSupportedError,
        "the mail server offers no STARTTLS or no login",
        _TLS,
    ),
    (
        smtplib.SMTPServerDisconnected,
        "the mail server closed the connection or kept silent",
        _NETWORK,
    ),
    (ssl.SSLCertVerificationError, "the mail server's certificate is not valid for it", _TLS),
    (ssl.SSLError, "the mail server does not speak TLS as expected", _TLS),
    (socket.gaierror, "the mail server's name is not known", _NETWORK),
    (ConnectionRefusedError, "the mail server refused the connection", _NETWORK),
    (TimeoutError, "the mail server did not answer in time", _NETWORK),
    (OSError, "the mail server cannot be reached", _NETWORK),
)
