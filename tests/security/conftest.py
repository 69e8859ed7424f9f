"""A server in each async mode, and what an attack may not cost it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.conftest import ASYNC_MODES
from tests.support.server import ServerProcess


@pytest.fixture(scope="module", params=ASYNC_MODES)
def server(
    request: pytest.FixtureRequest, make_shared_server: Callable[..., ServerProcess]
) -> ServerProcess:
    """A server for all tests of a module, in each async mode."""
    mode = str(request.param)
    return make_shared_server(mode, SOCKETIO_ASYNC_MODE=mode).start()
