"""The embedded database: start, stop, and durability after a crash."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, PyMongoError

from app import create_app
from app.domain.trade import TradeStatus
from app.extensions import mongo, socketio
from app.monitor import Monitor
from app.services import services
from app.trades.service import open_trade
from config import Settings
from embedded_db.supervisor import EmbeddedDatabase, StartError
from tests.support.database import read, write
from tests.support.factories import assert_portfolio_balances, create_users, order, trades_of
from tests.support.live import eventually, is_running
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.server import ROOT

SECONDS = 30
# A program with an embedded database and nothing else.
PARENT = """
import sys
from pathlib import Path
from embedded_db.supervisor import EmbeddedDatabase
database = EmbeddedDatabase(Path(sys.argv[1]))
database.start()
print(database.uri, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def make_database(folder: Path) -> Iterator[Callable[[], EmbeddedDatabase]]:
    made: list[EmbeddedDatabase] = []

    def make() -> EmbeddedDatabase:
        made.append(EmbeddedDatabase(folder))
        return made[-1]

    yield make
    for database in made:
        database.stop()


@pytest.fixture
def watch() -> Iterator[Callable[[EmbeddedDatabase], None]]:
    """Watch databases in the background until the test ends."""
    watched: list[tuple[EmbeddedDatabase, threading.Thread]] = []

    def start(database: EmbeddedDatabase) -> None:
        thread = threading.Thread(target=database.watch)
        watched.append((database, thread))
        thread.start()

    yield start
    for database, thread in watched:
        database.stop()
        thread.join(SECONDS)
        assert not thread.is_alive()


def record(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "database.json").read_text())
    return content


def connection(uri: str) -> socket.socket:
    """Connect to a database; the connection breaks when its process ends."""
    port = uri.rpartition(":")[2].partition("/")[0]
    return socket.create_connection(("127.0.0.1", int(port)), timeout=SECONDS)


def kill_database(folder: Path) -> None:
    """Kill the database's process, and wait until it has ended."""
    content = record(folder)
    with connection(
        f"mongodb://127.0.0.1:{content['port']}/?directConnection=true"
    ) as open_connection:
        os.kill(content["database_pid"], signal.SIGKILL)
        assert_breaks(open_connection)


def assert_breaks(open_connection: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert open_connection.recv(1) == b""


def wait_until_it_answers(uri: str) -> None:
    with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=SECONDS * 1000) as client:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                client.admin.command("ping")
            except ConnectionFailure:
                # This connection was to the killed process; the next one is to the new process.
                assert time.monotonic() < deadline
            else:
                return


def test_it_starts_in_its_folder_and_records_its_address(
    make_database: Callable[[], EmbeddedDatabase], folder: Path
) -> None:
    database = make_database()

    database.start()

    assert "@127.0.0.1:" in database.uri
    content = record(folder)
    assert f":{content['port']}/" in database.uri
    assert content["server_pid"] == os.getpid()
    assert content["database_pid"] not in (0, os.getpid())
    assert (folder / "database").is_dir()
    write(database.uri, 1)
    assert read(database.uri) == [0]


def test_its_supervisor_imports_neither_the_application_nor_flask() -> None:
    program = (
        "import sys, embedded_db.supervisor\n"
        "slow = ('app', 'config', 'flask', 'pydantic', 'pymongo')\n"
        "print([name for name in slow if name in sys.modules])\n"
        "import app.transport.listener, app.logs.output\n"
        "slow = ('flask', 'flask_socketio', 'spectree', 'app.web', 'app.services')\n"
        "print([name for name in slow if name in sys.modules])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ran.stdout == "[]\n[]\n"


def test_after_begin_its_folder_is_taken_and_after_the_wait_it_answers(
    make_database: Callable[[], EmbeddedDatabase], folder: Path
) -> None:
    database = make_database()

    database.begin()

    assert record(folder)["server_pid"] == os.getpid()
    with pytest.raises(StartError, match=f"process id {os.getpid()};"):
        make_database().start()
    database.wait()
    write(database.uri, 1)
    assert read(database.uri) == [0]


def test_a_process_that_ends_before_the_wait_is_restarted(
    make_database: Callable[[], EmbeddedDatabase], folder: Path
) -> None:
    database = make_database()
    database.begin()
    pid = record(folder)["database_pid"]
    os.kill(pid, signal.SIGKILL)
    # It has ended and is a zombie until its parent reaps it.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    database.wait()

    assert record(folder)["database_pid"] != pid
    write(database.uri, 1)
    assert read(database.uri) == [0]


def test_stop_ends_a_process_that_was_only_begun(
    make_database: Callable[[], EmbeddedDatabase], folder: Path
) -> None:
    database = make_database()
    database.begin()
    pid = record(folder)["database_pid"]

    database.stop()

    assert not is_running(pid)
    assert not (folder / "database.json").exists()
    make_database().start()


def test_its_data_is_there_at_the_next_start(
    make_database: Callable[[], EmbeddedDatabase], folder: Path
) -> None:
    first = make_database()
    first.start()
    write(first.uri, 20)

    with connection(first.uri) as open_connection:
        first.stop()
        assert_breaks(open_connection)
    assert not (folder / "database.json").exists()
    second = make_database()
    second.start()

    assert read(second.uri) == list(range(20))


def test_stopping_twice_or_before_the_start_is_harmless(
    make_database: Callable[[], EmbeddedDatabase],
) -> None:
    database = make_database()
    database.stop()
    database = make_database()
    database.start()
    database.stop()
    database.stop()

    database = make_database()
    database.start()
    write(database.uri, 1)
    assert read(database.uri) == [0]


def test_a_second_database_on_the_folder_names_the_owner_and_does_not_disturb_it(
    make_database: Callable[[], EmbeddedDatabase], folder: Path
) -> None:
    first = make_database()
    first.start()

    for _ in range(2):
        second = make_database()
        with pytest.raises(StartError) as refusal:
            second.start()
        second.stop()

        offence = str(refusal.value)
        assert offence.startswith(f"DATA_DIR: {folder} is in use by the server")
        assert f"process id {os.getpid()};" in offence
    assert f":{record(folder)['port']}/" in first.uri
    write(first.uri, 1)


@pytest.mark.parametrize("content", [None, "{}"])
def test_without_a_record_the_owner_is_unknown(
    make_database: Callable[[], EmbeddedDatabase], folder: Path, content: str | None
) -> None:
    first = make_database()
    first.start()
    (folder / "database.json").unlink()
    if content is not None:
        (folder / "database.json").write_text(content)

    with pytest.raises(StartError, match="process id unknown"):
        make_database().start()


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    database = EmbeddedDatabase(tmp_path / "file" / "data")

    with pytest.raises(StartError, match=r"DATA_DIR: .*file/data cannot be used"):
        database.start()


def test_acknowledged_writes_survive_a_kill_and_the_address_stays(
    make_database: Callable[[], EmbeddedDatabase],
    watch: Callable[[EmbeddedDatabase], None],
    folder: Path,
) -> None:
    database = make_database()
    database.start()
    uri, pid = database.uri, record(folder)["database_pid"]
    watch(database)
    write(uri, 200)

    kill_database(folder)
    wait_until_it_answers(uri)

    assert database.uri == uri
    assert record(folder)["database_pid"] != pid
    assert read(uri) == list(range(200))


def test_a_restart_that_fails_at_first_is_repeated_until_it_succeeds(
    make_database: Callable[[], EmbeddedDatabase],
    watch: Callable[[EmbeddedDatabase], None],
    folder: Path,
) -> None:
    database = make_database()
    database.start()
    write(database.uri, 20)
    watch(database)
    storage, aside = folder / "database", folder / "aside"
    storage.rename(aside)
    storage.write_text("in the way")

    kill_database(folder)
    eventually(lambda: "FileExistsError" in (folder / "database.log").read_text())
    storage.unlink()
    aside.rename(storage)

    wait_until_it_answers(database.uri)
    assert read(database.uri) == list(range(20))


def test_it_ends_with_its_parent_and_the_next_start_loses_nothing(
    make_database: Callable[[], EmbeddedDatabase], folder: Path
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        uri = parent.stdout.readline().strip()
        write(uri, 50)
        with connection(uri) as open_connection:
            parent.kill()
            assert_breaks(open_connection)
    database = make_database()

    database.start()

    assert read(database.uri) == list(range(50))


@pytest.fixture
def app_on_it(
    make_database: Callable[[], EmbeddedDatabase],
    # Unused here; this order closes the client before the database stops.
    watch: Callable[[EmbeddedDatabase], None],
    make_settings: Callable[..., Settings],
    feed: ScriptedFeed,
    clock: ManualClock,
) -> Iterator[tuple[Flask, EmbeddedDatabase]]:
    """An application with its own database, with an open context."""
    database = make_database()
    database.start()
    app = create_app(make_settings(), mongo_uri=database.uri, feed=feed, clock=clock)
    with app.app_context():
        yield app, database
    assert mongo.cx is not None
    mongo.cx.close()
    mongo.cx = mongo.db = None


def test_during_an_outage_prices_are_published_and_their_triggers_settled_later(
    app_on_it: tuple[Flask, EmbeddedDatabase],
    watch: Callable[[EmbeddedDatabase], None],
    feed: ScriptedFeed,
    folder: Path,
) -> None:
    app, database = app_on_it
    monitor = Monitor(app)
    create_users("alice")
    open_trade("alice", order(quantity=3, stop_loss=24_990, target_price=25_010))
    client = socketio.test_client(app)
    client.get_received()
    kill_database(folder)

    feed.tick("^NSEI", "24989.50")
    with pytest.raises(PyMongoError):
        monitor.run_once()
    assert [each["args"][0]["price"] for each in client.get_received()] == [24_989.5]
    feed.tick("^NSEI", 25_100)
    with pytest.raises(PyMongoError):
        monitor.run_once()
    assert services().quotes.latest("^NSEI").price == 25_100
    watch(database)
    wait_until_it_answers(database.uri)

    assert monitor.run_once().closed == 1

    (trade,) = trades_of("alice")
    assert trade.status is TradeStatus.STOP_LOSS_HIT
    assert trade.exit is not None
    assert str(trade.exit.pnl) == "-31.50"
    assert_portfolio_balances("alice")
    assert monitor.run_once().closed == 0
