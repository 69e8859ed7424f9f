"""The Node receiver of examples/ checks and prints what the worker posts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from app.database.transactions import run_transaction
from app.delivery import WebhookWorker
from app.events import record_events
from app.services import now
from app.webhooks.service import create_webhook
from tests.support.factories import create_users, draft
from tests.support.market import ManualClock
from tests.support.server import ROOT, free_port

pytestmark = pytest.mark.needs("node", package="nodejs")
SECRET_OF_NOBODY = "whsec_" + "A" * 43 + "="


@pytest.fixture
def variables() -> dict[str, Any]:
    return {"WEBHOOK_ALLOWED_HOSTS": "127.0.0.1"}


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def secret(app_context: Flask, clock: ManualClock, port: int) -> str:
    """The secret of a webhook of alice to the port, at the present time."""
    clock.advance((datetime.now(UTC) - clock.now()).total_seconds())
    create_users("alice")
    return create_webhook("alice", f"http://127.0.0.1:{port}/", None, "")[1]


@contextmanager
def receiver(port: int, secret: str) -> Iterator[subprocess.Popen[str]]:
    script = str(ROOT / "examples" / "webhook.js")
    command = ["node", script, "--port", str(port), "--secret", secret]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "listening" in process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.parametrize("is_own", [True, False], ids=["its secret", "another secret"])
def test_the_receiver_prints_messages_of_its_own_secret_only(
    app_context: Flask, clock: ManualClock, port: int, secret: str, is_own: bool
) -> None:
    run_transaction(lambda: record_events([draft(message="Hello.")], now()))
    worker = WebhookWorker(app_context, clock)
    with receiver(port, secret if is_own else SECRET_OF_NOBODY) as process:
        assert worker.run_once() == 1
        assert process.stdout is not None
        assert process.stderr is not None
        if is_own:
            assert process.stdout.readline() == "1 greeting {}\n"
        else:
            assert "No matching signature" in process.stderr.readline()
