"""The async modes."""

from __future__ import annotations

import pytest

ASYNC_MODES = ("eventlet", "gevent", "threading")


@pytest.fixture(params=ASYNC_MODES)
def async_mode(request: pytest.FixtureRequest) -> str:
    """Every async mode."""
    return str(request.param)
