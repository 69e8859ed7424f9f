"""Servers that tests fork end like those that a command starts."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.forked_process import ForkedProcess
from tests.support.server import ServerProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="servers are forked on Linux only")


def test_a_refused_configuration_is_in_the_output_and_ends_with_status_2(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server(MAX_EMAILS_PER_RECIPIENT="many")

    with pytest.raises(AssertionError, match="MAX_EMAILS_PER_RECIPIENT"):
        server.start()

    assert server.process is not None
    assert server.process.wait() == 2


def test_a_killed_server_has_its_signal_as_status_and_the_next_one_starts(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server().start()
    assert isinstance(server.process, ForkedProcess)
    process_id = server.process.pid
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(0)

    server.kill()

    assert server.process.returncode == -signal.SIGKILL
    assert server.start().process is not None
    assert server.process.pid != process_id


def test_a_server_has_its_own_folder_and_output(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server().start()
    assert server.process is not None
    process = Path(f"/proc/{server.process.pid}")

    assert (process / "cwd").resolve() == server.folder
    assert (process / "fd" / "1").resolve() == server.log
