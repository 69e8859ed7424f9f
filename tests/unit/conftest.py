"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.live_market import Market
from tests.support.market import ManualClock


@pytest.fixture
def batch_size() -> int:
    """The instruments in one request to a source."""
    return 50


@pytest.fixture
def market(clock: ManualClock, batch_size: int) -> Iterator[Market]:
    market = Market(clock, batch_size=batch_size)
    yield market
    market.angel.go.set()
    market.yahoo.go.set()
