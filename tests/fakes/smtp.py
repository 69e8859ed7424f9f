"""A real SMTP server on loopback, with TLS and a login, that records the mails."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.server import free_port

USERNAME = "desk@example.com"
PASSWORD = "a-password-of-the-post-office"
ACCEPTED = "250 OK"


def make_certificate(folder: Path, host: str = "localhost") -> tuple[Path, Path]:
    """Make a self-signed certificate for `host` and 127.0.0.1; return its path and its key's."""
    certificate, key = folder / f"{host}.pem", folder / f"{host}.key"
    addresses = "DNS:localhost,IP:127.0.0.1" if host == "localhost" else f"DNS:{host}"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={host}"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", f"subjectAltName={addresses}"),
            *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


class MailServer:
    """Accepts mail over TLS from clients with the password; fails as configured.

    With `implicit_tls` it starts with TLS, otherwise it requires STARTTLS. Each `answer_...`
    replaces the success reply at that point.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        *,
        implicit_tls: bool = False,
        starttls: bool = True,
        smtputf8: bool = True,
    ) -> None:
        self.certificate = certificate
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.logins: list[str] = []
        self.refused: dict[str, str] = {}
        self.answer_login = ""
        self.answer_sender = ""
        self.answer_message = ""
        self.answer_goodbye = ""
        # Seconds to wait before the reply to a message.
        self.silence = 0.0
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate, key)
        # aiosmtpd treats a connection with implicit TLS as one without TLS.
        over_tls: dict[str, Any] = {"ssl_context": tls, "auth_require_tls": False}
        by_starttls: dict[str, Any] = {"tls_context": tls, "require_starttls": True}
        plain: dict[str, Any] = {"auth_require_tls": False}
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=free_port(),
            authenticator=self._authenticate,
            enable_SMTPUTF8=smtputf8,
            **(over_tls if implicit_tls else by_starttls if starttls else plain),
        )

    @property
    def port(self) -> int:
        return int(self._controller.port)

    @property
    def environment(self) -> dict[str, Any]:
        """The variables that make a server send through this one."""
        return {
            "SMTP_SERVER": "127.0.0.1",
            "SMTP_PORT": self.port,
            "SMTP_USERNAME": USERNAME,
            "SMTP_PASSWORD": PASSWORD,
            "SSL_CERT_FILE": self.certificate,
        }

    @contextmanager
    def open(self) -> Iterator[MailServer]:
        """Accept mail until the block ends."""
        self._controller.start()
        try:
            yield self
        finally:
            self._controller.stop()

    # aiosmtpd calls methods with these names.

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.answer_sender or ACCEPTED

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return ACCEPTED

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        await asyncio.sleep(self.silence)
        if self.answer_message:
            return self.answer_message
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients += envelope.rcpt_tos
        return ACCEPTED

    async def handle_QUIT(  # noqa: N802
        self, _server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        return self.answer_goodbye or "221 Bye"

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        self.logins.append(mechanism)
        if self.answer_login:
            return AuthResult(success=False, handled=False, message=self.answer_login)
        known = given == LoginPassword(USERNAME.encode(), PASSWORD.encode())
        return AuthResult(success=known, handled=False)
