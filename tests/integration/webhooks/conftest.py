"""Fixtures of the tests of webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask

from app.delivery import WebhookWorker
from tests.fakes.endpoint import Endpoint
from tests.support.factories import create_users
from tests.support.market import ManualClock
from tests.support.senders import CREDENTIALS


@pytest.fixture
def variables() -> dict[str, Any]:
    return {**CREDENTIALS, "WEBHOOK_ALLOWED_HOSTS": "127.0.0.1"}


@pytest.fixture(autouse=True)
def users(app_context: Flask) -> None:
    create_users("alice", "bob")


@pytest.fixture
def endpoints() -> Iterator[list[Endpoint]]:
    """Two endpoints."""
    with ExitStack() as stack:
        yield [stack.enter_context(Endpoint().open()) for _ in range(2)]


@pytest.fixture
def endpoint(endpoints: list[Endpoint]) -> Endpoint:
    return endpoints[0]


@pytest.fixture
def worker(app_context: Flask, clock: ManualClock) -> WebhookWorker:
    return WebhookWorker(app_context, clock)
