"""An election, over TLS and with a password, while customers trade in each async mode."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from tests.e2e.conftest import ASYNC_MODES
from tests.fakes.smtp import make_certificate
from tests.support.audit import Auditor, Snapshot
from tests.support.faults import FaultyDatabase
from tests.support.load import Load
from tests.support.server import ServerProcess

DOWN_SECONDS = 3
BACK_SECONDS = 5
USER, PASSWORD = "trader", "p@ss/word"

pytestmark = [pytest.mark.timeout(180), pytest.mark.needs("openssl")]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[FaultyDatabase]:
    """A replica set that accepts only TLS, and only its user."""
    folder = tmp_path / "database"
    folder.mkdir()
    certificate, key = make_certificate(folder)
    open_to_all = FaultyDatabase(folder, "--sync-on-commit")
    open_to_all.add_user(USER, PASSWORD)
    open_to_all.stop()
    database = FaultyDatabase(
        folder,
        *("--auth", "--tls-cert-file", certificate, "--tls-key-file", key),
        user=f"{USER}:{quote_plus(PASSWORD)}@",
        options=f"authSource=admin&tls=true&tlsCAFile={certificate}",
    )
    yield database
    database.stop()


def await_success(loads: Sequence[Load], seconds: float) -> None:
    """Wait until a request of every customer succeeds."""
    since = time.monotonic()
    customers = [customer for load in loads for customer in load.customers]
    while late := [each.name for each in customers if each.latest_success < since]:
        assert time.monotonic() < since + seconds, f"no success of {late} within {seconds} s"
        time.sleep(0.05)


def test_every_async_mode_is_back_soon_after_an_election(
    database: FaultyDatabase, make_server: Callable[..., ServerProcess], seed: str
) -> None:
    def uri(mode: str) -> str:
        return database.uri.replace("/?", f"/{mode}?")

    market = {"MARKET_DATA": "simulated", "MARKET_SEED": "1"}
    servers = {
        mode: make_server(mode, SOCKETIO_ASYNC_MODE=mode, MONGO_URI=uri(mode), **market)
        for mode in ASYNC_MODES
    }
    for server in servers.values():
        server.spawn()
    for server in servers.values():
        server.wait_until_ready()
    loads = {mode: Load(server, 2, seed, name=mode) for mode, server in servers.items()}
    with ExitStack() as trading:
        for load in loads.values():
            load.sign_up()
            trading.enter_context(load.running())
        await_success(list(loads.values()), 30)
        database.step_down(DOWN_SECONDS)
        database.await_primary()
        await_success(list(loads.values()), BACK_SECONDS)

    for mode, load in loads.items():
        snapshot = Snapshot.take(uri(mode), mode).of_users(load.user_ids())
        assert Auditor(snapshot, load.operations()).run() == [], mode
        assert load.faults() == [], mode
        assert servers[mode].is_ready()
