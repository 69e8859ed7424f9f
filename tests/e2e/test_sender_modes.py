"""Senders in every async mode: other greenlets run while they send."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.smtp import MailServer, make_certificate
from tests.fakes.twilio import TwilioServer
from tests.support.server import INHERITED, ROOT

# Far longer than a busy machine keeps a greenlet waiting.
SILENCE = 3.0


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("implicit_tls", [False, True], ids=["STARTTLS", "TLS from the start"])
@pytest.mark.parametrize("mode", ["eventlet", "gevent", "threading"])
def test_a_slow_mail_server_holds_up_nothing_else(
    tmp_path: Path, mode: str, implicit_tls: bool
) -> None:
    mail_server = MailServer(*make_certificate(tmp_path), implicit_tls=implicit_tls)
    mail_server.silence = SILENCE
    with mail_server.open(), TwilioServer().open() as twilio:
        environment = {
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
            "APP_ENV": "testing",
            "DATA_DIR": str(tmp_path / "data"),
            "SOCKETIO_ASYNC_MODE": mode,
            "PYTHONPATH": str(ROOT),
            "IMPLICIT_TLS": str(int(implicit_tls)),
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
    assert len(mail_server.mails) == len(twilio.messages) == 1
    beats, longest = child.stdout.split()
    assert int(beats) > 10
    assert float(longest) < SILENCE
