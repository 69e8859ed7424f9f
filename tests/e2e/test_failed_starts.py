"""A start that fails after the database was started leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from embedded_db.supervisor import EmbeddedDatabase
from tests.support.live import is_running
from tests.support.server import ROOT, ServerProcess

END_SECONDS = 30
# run.py as a script, held up as it begins to import the application, which then fails.
HELD_UP = """
import runpy, sys
from importlib.abc import MetaPathFinder

class HoldUp(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "app.server":
            print(*{"app.web", "flask_socketio"} & sys.modules.keys(), flush=True)
            sys.stdin.readline()
            raise ImportError("the application cannot be imported")

sys.meta_path.insert(0, HoldUp())
sys.argv = [sys.argv[1]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@contextmanager
def held_up(server: ServerProcess) -> Iterator[subprocess.Popen[str]]:
    """Start a server that waits for a line of input before it imports the application."""
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", HELD_UP, str(ROOT / "run.py")],
            cwd=ROOT,
            env=server.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "\n", server.output()
        yield process


@pytest.fixture
def server(make_server: Callable[..., ServerProcess], async_mode: str) -> ServerProcess:
    return make_server(SOCKETIO_ASYNC_MODE=async_mode)


def database_pid(server: ServerProcess) -> int:
    return int(json.loads((server.folder / "data" / "database.json").read_text())["database_pid"])


def assert_nothing_stays(server: ServerProcess, database: int) -> None:
    assert not is_running(database)
    data_dir = server.folder / "data"
    assert not (data_dir / "database.json").exists()
    # The folder is free for the next.
    following = EmbeddedDatabase(data_dir)
    try:
        following.start()
    finally:
        following.stop()


def test_the_database_is_begun_before_the_application_is_imported(server: ServerProcess) -> None:
    with held_up(server) as process:
        assert is_running(database_pid(server))
        process.kill()


def test_an_application_that_cannot_be_imported_leaves_no_database(server: ServerProcess) -> None:
    with held_up(server) as process:
        database = database_pid(server)
        process.communicate("\n", timeout=END_SECONDS)

    assert process.returncode == 1
    assert "ImportError: the application cannot be imported" in server.output()
    assert_nothing_stays(server, database)


def test_ctrl_c_while_the_application_is_imported_leaves_no_database(
    server: ServerProcess,
) -> None:
    with held_up(server) as process:
        database = database_pid(server)
        process.send_signal(signal.SIGINT)
        process.wait(END_SECONDS)

    assert process.returncode == 130
    assert "Traceback" not in server.output()
    assert_nothing_stays(server, database)


def test_an_application_that_cannot_be_made_leaves_no_database(
    make_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    recording = tmp_path / "broken.csv"
    recording.write_text("timestamp,symbol,price\n2026-11-23T03:45:00Z,^NSEI,dear\n")
    server = make_server(MARKET_DATA="replay", REPLAY_FILE=recording)

    assert server.spawn().wait(END_SECONDS) == 2

    # It was stopped in order, or its record would still be there.
    assert (server.folder / "data" / "database.log").exists()
    assert not (server.folder / "data" / "database.json").exists()
