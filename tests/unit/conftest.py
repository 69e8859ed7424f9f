"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.live_market import Market
from tests.support.market import ManualClock


@pytest.fixture
def market(clock: ManualClock) -> Iterator[Market]:
    market = Market(clock)
    yield market
    market.angel.go.set()
    market.yahoo.go.set()
