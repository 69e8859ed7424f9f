"""The server raises its limit of file descriptors, and serves others when few are left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.e2e.conftest import ASYNC_MODES
from tests.support.attack_monitor import Target
from tests.support.live import eventually
from tests.support.raw_http import RawConnection
from tests.support.server import ServerProcess


@pytest.fixture(params=ASYNC_MODES)
def async_mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def connections_of(server: ServerProcess) -> dict[str, object]:
    status, ready = Target.of(server).call("GET", "/health/ready")
    assert status == 200, ready
    checks: dict[str, object] = ready["checks"]["connections"]
    return checks


def test_more_idle_connections_than_descriptors_lock_out_nobody(
    make_server: Callable[..., ServerProcess], async_mode: str
) -> None:
    server = make_server(SOCKETIO_ASYNC_MODE=async_mode)
    server.descriptors = (256, 256)
    server.start()
    with ExitStack() as clients:
        for _ in range(300):
            clients.enter_context(RawConnection(server.port))
        crowded = connections_of(server)
        assert Target.of(server).call("GET", "/market/live/NIFTY")[0] == 200
        # Another client of the same address is served as well.
        assert server.request("GET", "/health/live").status_code == 200

    limit = crowded["limit"]
    assert isinstance(limit, int)
    assert limit < 256
    # Half of them may be of one address.
    assert isinstance(crowded["open"], int)
    assert limit / 2 <= crowded["open"] <= limit
    eventually(lambda: connections_of(server)["open"] == 1)


def test_the_soft_limit_is_raised_to_the_hard_one(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server()
    server.descriptors = (128, 1_024)
    server.start()

    limit = connections_of(server)["limit"]

    assert isinstance(limit, int)
    assert limit > 512
    assert "raised the limit of open files from 128 to 1024" in server.output()


def test_max_connections_is_degraded_when_nearly_reached(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server(MAX_CONNECTIONS=20, MAX_CONNECTIONS_PER_ADDRESS=18).start()
    assert connections_of(server) == {"status": "ok", "open": 1, "limit": 20}
    with ExitStack() as clients:
        for _ in range(25):
            clients.enter_context(RawConnection(server.port))

        assert connections_of(server) == {"status": "degraded", "open": 19, "limit": 20}
