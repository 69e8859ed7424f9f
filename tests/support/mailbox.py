"""A real SMTP server on loopback, with TLS and a login, that keeps what it receives."""

from __future__ import annotations

import email
import email.policy
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session

from tests.support.mail_login import PASSWORD, USERNAME, make_certificate
from tests.support.server import free_port


class MailServer:
    def __init__(self, folder: Path) -> None:
        self.certificate, key = make_certificate(folder)
        self.mails: list[EmailMessage] = []
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.certificate, key)
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=free_port(),
            tls_context=tls,
            require_starttls=True,
            auth_required=True,
            authenticator=self._authenticate,
        )

    @property
    def environment(self) -> dict[str, Any]:
        """What makes a server send by this one."""
        return {
            "SMTP_SERVER": "127.0.0.1",
            "SMTP_PORT": self._controller.port,
            "SMTP_USERNAME": USERNAME,
            "SMTP_PASSWORD": PASSWORD,
            "SSL_CERT_FILE": self.certificate,
        }

    def start(self) -> MailServer:
        self._controller.start()
        return self

    def stop(self) -> None:
        self._controller.stop()

    async def handle_DATA(self, _server: object, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    @staticmethod
    def _authenticate(_server: Any, _session: Any, _envelope: Any, _way: str, login: Any) -> Any:
        given = (login.login.decode(), login.password.decode())
        return AuthResult(success=given == (USERNAME, PASSWORD))
