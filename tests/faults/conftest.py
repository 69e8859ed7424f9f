"""What the tests with faults share: the seed of their random choices, and their audits."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import ServerProcess


@pytest.fixture(scope="session")
def seed() -> str:
    """The seed of every random choice; FAULT_SEED sets it to that of a failure."""
    return os.environ.get("FAULT_SEED") or str(random.SystemRandom().randrange(10**6))


@pytest.fixture(autouse=True)
def _show_seed(seed: str) -> None:
    # Captured, so it is shown with a failure and not else.
    print(f"Repeat the random choices of this run with FAULT_SEED={seed}")


@pytest.fixture(scope="module")
def module_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., ServerProcess]]:
    """Make servers that all tests of a module use; end them after the last."""
    servers: list[ServerProcess] = []

    def make(folder: Path | None = None, **environment: Any) -> ServerProcess:
        server = ServerProcess(folder or tmp_path_factory.mktemp("server"), **environment)
        servers.append(server)
        return server

    yield make
    for server in servers:
        if server.process is not None:
            server.stop()
