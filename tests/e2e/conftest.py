"""Servers that several tests of a module share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.server import ServerProcess

ASYNC_MODES = ("eventlet", "gevent", "threading")


@pytest.fixture(scope="module")
def make_shared_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., ServerProcess]]:
    """Make servers for the whole module; `make_server` makes them for one test."""
    servers: list[ServerProcess] = []

    def make(**environment: Any) -> ServerProcess:
        server = ServerProcess(tmp_path_factory.mktemp("server"), **environment)
        servers.append(server)
        return server

    yield make
    for server in servers:
        if server.process is not None:
            server.stop()


@pytest.fixture(params=ASYNC_MODES)
def async_mode(request: pytest.FixtureRequest) -> str:
    """Each way to serve, one after the other."""
    return str(request.param)
