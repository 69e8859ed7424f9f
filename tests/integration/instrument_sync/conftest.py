"""An application whose instrument list comes from a local server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import Result
from flask import Flask

from app.market_data.instruments.registry import Instruments
from app.services import services
from tests.fakes.scrip_master import ScripMasterServer, master
from tests.support.instrument_sync import Sync

SIZE = 3_000


@pytest.fixture
def server() -> Iterator[ScripMasterServer]:
    with ScripMasterServer(master(SIZE, 1_200)) as server:
        yield server


@pytest.fixture
def app(make_app: Callable[..., Flask], server: ScripMasterServer) -> Flask:
    return make_app(ANGEL_SCRIP_MASTER_URL=server.url)


@pytest.fixture
def sync(app: Flask) -> Sync:
    """Run the command in this process."""

    def run(*options: str) -> Result:
        return app.test_cli_runner().invoke(args=["instruments", "sync", *options])

    return run


@pytest.fixture
def known(app_context: Flask) -> Instruments:
    return services().instruments
