"""The ways to serve."""

from __future__ import annotations

import pytest

ASYNC_MODES = ("eventlet", "gevent", "threading")


@pytest.fixture(params=ASYNC_MODES)
def async_mode(request: pytest.FixtureRequest) -> str:
    """Each way to serve, one after the other."""
    return str(request.param)
