"""Senders in every async mode: other greenlets run while they send."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.endpoint import Endpoint
from tests.fakes.smtp import MailServer, make_certificate
from tests.fakes.twilio import TwilioServer
from tests.support.server import INHERITED, ROOT

# Far longer than a busy machine keeps a greenlet waiting.
SILENCE = 3.0


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("implicit_tls", [False, True], ids=["STARTTLS", "TLS from the start"])
@pytest.mark.parametrize("mode", ["eventlet", "gevent", "threading"])
def test_a_slow_mail_server_and_a_slow_webhook_hold_up_nothing_else(
    tmp_path: Path, mode: str, implicit_tls: bool
) -> None:
    certificate = make_certificate(tmp_path)
    mail_server = MailServer(*certificate, implicit_tls=implicit_tls)
    mail_server.silence = SILENCE
    endpoint = Endpoint()
    endpoint.meanwhile = lambda: time.sleep(SILENCE)
    with (
        mail_server.open(),
        TwilioServer().open() as twilio,
        endpoint.open(certificate),
    ):
        environment = {
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
            "APP_ENV": "testing",
            "DATA_DIR": str(tmp_path / "data"),
            "SOCKETIO_ASYNC_MODE": mode,
            "PYTHONPATH": str(ROOT),
            "IMPLICIT_TLS": str(int(implicit_tls)),
            # OpenSSL trusts the certificates of this file.
            "SSL_CERT_FILE": str(certificate[0]),
            "WEBHOOK_URL": f"https://localhost:{endpoint.port}/",
            **{name: str(value) for name, value in mail_server.environment.items()},
            **twilio.environment,
        }
        child = subprocess.run(
            [sys.executable, "-m", "tests.support.send_in_greenlets"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert child.returncode == 0, child.stderr
    assert len(mail_server.mails) == len(twilio.messages) == len(endpoint.received) == 1
    beats, longest = child.stdout.split()
    assert int(beats) > 10
    assert float(longest) < SILENCE
