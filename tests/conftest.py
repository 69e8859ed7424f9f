"""Fixtures: one embedded database for the session, emptied after each test."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo import MongoClient

from app import create_app
from app.extensions import limiter, mongo
from app.monitor import Monitor
from app.realtime.handlers import KEY as SOCKETS_KEY
from config import Settings, load_settings
from embedded_db.supervisor import EmbeddedDatabase
from tests.fakes.endpoint import Endpoint
from tests.support.division import ByServer
from tests.support.emptying import empty_database
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import own_client
from tests.support.server import CHEAP_HASH, ServerProcess, servers_in
from tests.support.shared_app import SharedApp
from tests.support.users import Trader, sign_up

_database_numbers = itertools.count(1)
DATABASE_NAME = f"test_{os.getpid()}"


# What takes longest comes first, single tests of minutes before all: a slow file that starts last
# keeps one worker busy while the others have nothing left to run.
SLOWEST_FIRST = (
    *("fuzz", "property/test_portfolio_machine.py"),
    *("deploy", "faults", "security", "property", "browser", "e2e"),
    *("integration", "mongodb", "realtime", "api", "unit"),
)
TESTS = Path(__file__).parent
# A file system in memory, if there is one with room: each write of the database waits until it is
# stored, and a disk takes milliseconds for that. Servers that tests start store on the disk.
SHARED_MEMORY = Path("/dev/shm")
DATABASE_BYTES = 1024**3
MEMORY = (
    SHARED_MEMORY
    if os.access(SHARED_MEMORY, os.W_OK)
    and shutil.disk_usage(SHARED_MEMORY).free > 4 * DATABASE_BYTES
    else None
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run slow directories first. Skip tests that need a missing program, and name its package."""
    items.sort(key=lambda item: _position(item.path))
    required = os.environ.get("REQUIRE_ALL") == "1"
    for item in items:
        for marker in item.iter_markers("needs"):
            program = marker.args[0]
            if shutil.which(program) is None and not required:
                reason = (
                    f"needs {program}: install the package {marker.kwargs.get('package', program)}"
                )
                item.add_marker(pytest.mark.skip(reason=reason))


@cache
def _position(path: Path) -> int:
    file = path.relative_to(TESTS)
    name = file.as_posix()
    return SLOWEST_FIRST.index(name if name in SLOWEST_FIRST else file.parts[0])


def pytest_collection_finish() -> None:
    """Exempt the tests and all modules from garbage collection: they stay until the end."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServer | None:
    """Divide the tests of `make test` among its workers."""
    return ByServer(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a real database server, without a database name."""
    if external := os.environ.get("TEST_MONGO_URI"):
        yield external
        return
    folder = None if MEMORY is None else tempfile.mkdtemp(dir=MEMORY, prefix="paper-trading-tests-")
    embedded = EmbeddedDatabase(Path(folder or tmp_path_factory.mktemp("database")))
    embedded.start()
    yield embedded.uri
    embedded.stop()
    if folder:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def database_client(mongo_server: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """A client of the database server that outlives the applications."""
    with own_client(mongo_server) as client:
        yield client
        client.drop_database(DATABASE_NAME)


def uri_of(mongo_server: str, database: str) -> str:
    base, _, options = mongo_server.partition("?")
    return f"{base.rstrip('/')}/{database}?{options}"


@pytest.fixture
def mongo_uri(
    request: pytest.FixtureRequest,
    mongo_server: str,
    database_client: MongoClient[dict[str, Any]],
) -> Iterator[str]:
    """The URI of an empty database.

    The tests of a process share its collections and indexes: making and dropping these takes
    longer than most tests. A test that changes them is marked `own_database`.
    """
    is_own = request.node.get_closest_marker("own_database") is not None
    name = f"{DATABASE_NAME}_{next(_database_numbers)}" if is_own else DATABASE_NAME
    yield uri_of(mongo_server, name)
    # SecantusDB: drops empty collections many times faster than full ones.
    empty_database(database_client[name])
    if is_own:
        database_client.drop_database(name)


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Make settings for tests; keywords are variables of the environment."""

    def make(**variables: Any) -> Settings:
        return load_settings(
            {
                "APP_ENV": "testing",
                "DATA_DIR": str(tmp_path / "data"),
                "SOCKETIO_ASYNC_MODE": "threading",
                "RATELIMIT_ENABLED": "false",
                "PASSWORD_HASH": CHEAP_HASH,
                # Otherwise each test would make its own, and wait until they are stored.
                "SECRET_KEY": "a-secret-of-all-tests-" + "7c" * 16,
                # Long enough for a test to sign with HS512 as well.
                "JWT_SECRET_KEY": "a-secret-of-all-tokens-" + "9d" * 24,
                **{name: str(value) for name, value in variables.items()},
            }
        )

    return make


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def feed(clock: ManualClock) -> ScriptedFeed:
    """A market in which NIFTY is at 25,000, SENSEX at 80,000 and RELIANCE at 1,400."""
    feed = ScriptedFeed(clock)
    for symbol, price in {"^NSEI": 25_000, "^BSESN": 80_000, "RELIANCE.NS": 1_400}.items():
        feed.set(symbol, price)
    return feed


@pytest.fixture(scope="session")
def shared_app(mongo_server: str) -> Iterator[SharedApp]:
    """The application of the tests that configure nothing; its client is closed at the end."""
    shared = SharedApp()
    yield shared
    shared.end()
    close_client()


@pytest.fixture
def make_app(
    make_settings: Callable[..., Settings],
    mongo_uri: str,
    feed: ScriptedFeed,
    clock: ManualClock,
) -> Iterator[Callable[..., Flask]]:
    """Make applications on the test's database; close their client afterwards."""

    apps: list[Flask] = []

    def make(**variables: Any) -> Flask:
        settings = make_settings(**variables)
        apps.append(create_app(settings, mongo_uri=mongo_uri, feed=feed, clock=clock))
        return apps[-1]

    yield make
    for app in apps:
        app.extensions[SOCKETS_KEY].stop()
    # Notices to owners are written in the background, and need the database until they end.
    for thread in threading.enumerate():
        if thread.name.endswith("(notify)"):
            thread.join(30)
    if apps:
        close_client()
    if any(app.config["RATELIMIT_ENABLED"] for app in apps):
        limiter.reset()


@pytest.fixture
def start_app(
    make_app: Callable[..., Flask],
    make_settings: Callable[..., Settings],
    mongo_uri: str,
    clock: ManualClock,
) -> Callable[..., Flask]:
    """Start applications with a market of their own; `make_app` clears up after them."""

    def start(*, for_command: bool = False, **variables: Any) -> Flask:
        settings = make_settings(**variables)
        return create_app(settings, mongo_uri=mongo_uri, clock=clock, for_command=for_command)

    return start


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An address for webhooks, which keeps what it receives."""
    with Endpoint().open() as endpoint:
        yield endpoint


def close_client() -> None:
    """Close the client of the last application."""
    if mongo.cx is not None:
        mongo.cx.close()
        mongo.cx = mongo.db = None


@pytest.fixture
def variables() -> dict[str, Any]:
    """Variables of the application's environment; test modules override this."""
    return {}


@pytest.fixture
def app(
    make_app: Callable[..., Flask],
    variables: dict[str, Any],
    shared_app: SharedApp,
    mongo_server: str,
    mongo_uri: str,
    make_settings: Callable[..., Settings],
    feed: ScriptedFeed,
    clock: ManualClock,
    tmp_path: Path,
) -> Flask:
    """An application; one shared with other tests, unless this one configures something."""
    if variables or mongo_uri != uri_of(mongo_server, DATABASE_NAME):
        return make_app(**variables)
    return shared_app.lend(
        feed,
        clock,
        tmp_path / "data",
        lambda: create_app(make_settings(), mongo_uri=mongo_uri, feed=feed, clock=clock),
    )


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def monitor(app: Flask) -> Monitor:
    """The monitor; tests run it one pass at a time."""
    return Monitor(app)


@pytest.fixture
def alice(client: FlaskClient) -> Trader:
    """A user with a portfolio of 100,000."""
    trader = sign_up(client)
    trader.open_portfolio()
    return trader


@pytest.fixture
def bob(client: FlaskClient) -> Trader:
    """Another user with a portfolio of 100,000."""
    trader = sign_up(client)
    trader.open_portfolio()
    return trader


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Make server processes; end them afterwards."""
    with servers_in(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def make_shared_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., ServerProcess]]:
    """Make server processes that all tests of a module share; end them after the last."""
    with servers_in(tmp_path_factory.mktemp("servers")) as make:
        yield make
