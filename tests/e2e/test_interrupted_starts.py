"""Ctrl-C at any moment of a start ends it without a message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.server import ROOT, ServerProcess

END_SECONDS = 30
# run.py as a script that gets a signal the moment it begins to import a module.
SIGNALLED = """
import os, runpy, sys
from importlib.abc import MetaPathFinder

class Signal(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[2]:
            os.kill(os.getpid(), int(sys.argv[3]))

sys.meta_path.insert(0, Signal())
runpy.run_path(sys.argv[1], run_name="__main__")
"""
# In the order of a start: before the first import of our own, and up to the server's.
MOMENTS = (
    "app.configuration.environment",
    "dotenv",
    "difflib",
    "config",
    "pydantic",
    "pymongo",
    "embedded_db.supervisor",
    "app.logs.output",
    "logzero",
    "app.transport.listener",
    "app.server",
    "flask",
    "flask_socketio",
    "app.monitor",
    "app.web.api",
    "flask_limiter",
)


def output_of(server: ServerProcess, moment: str, number: int) -> tuple[int, str]:
    result = subprocess.run(
        [sys.executable, "-c", SIGNALLED, str(ROOT / "run.py"), moment, str(number)],
        cwd=ROOT,
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=END_SECONDS,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_while_a_module_is_imported_says_nothing(
    make_server: Callable[..., ServerProcess], moment: str
) -> None:
    server = make_server()

    assert output_of(server, moment, signal.SIGINT) == (128 + signal.SIGINT, "")
    assert not (server.folder / "data" / "database.json").exists()


@pytest.mark.parametrize("module", ["eventlet", "gevent"])
def test_ctrl_c_while_an_async_mode_is_imported_says_nothing(
    make_server: Callable[..., ServerProcess], module: str
) -> None:
    server = make_server(SOCKETIO_ASYNC_MODE=module)

    assert output_of(server, module, signal.SIGINT) == (128 + signal.SIGINT, "")


def test_sigterm_also_ends_a_start(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server()

    assert output_of(server, "app.server", signal.SIGTERM) == (128 + signal.SIGTERM, "")
    assert not (server.folder / "data" / "database.json").exists()
    assert os.access(server.folder / "data" / "secret_key", os.R_OK)
