"""Fixtures of the tests of corporate actions."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.monitor import Monitor
from tests.support.corporate_actions import (
    SHARE,
    At,
)
from tests.support.exchange_time import advance_to, ist
from tests.support.market import ManualClock, ScriptedFeed


@pytest.fixture(autouse=True)
def context(app_context: Flask) -> Flask:
    return app_context


@pytest.fixture
def at(clock: ManualClock, feed: ScriptedFeed, monitor: Monitor) -> At:
    """Let it be a time in India, and the share come to a price."""

    def at(time: str, price: Any) -> None:
        advance_to(clock, ist(time))
        feed.tick(SHARE, price)
        monitor.run_once()

    return at
