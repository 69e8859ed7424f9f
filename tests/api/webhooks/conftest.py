"""Fixtures of the tests of webhooks."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.delivery import WebhookWorker
from tests.fakes.endpoint import Endpoint
from tests.support.market import ManualClock
from tests.support.users import Trader
from tests.support.webhook_requests import create


@pytest.fixture
def variables() -> dict[str, Any]:
    return {"WEBHOOK_ALLOWED_HOSTS": "127.0.0.1"}


@pytest.fixture
def worker(app: Flask, clock: ManualClock) -> WebhookWorker:
    return WebhookWorker(app, clock)


@pytest.fixture
def hook(alice: Trader, endpoint: Endpoint) -> dict[str, Any]:
    """A webhook of alice to the endpoint, with its secret."""
    return create(alice, endpoint)
