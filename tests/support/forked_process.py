"""Servers forked from a process that has imported them: see tests/support/fork_server.py."""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

FORK_SERVER = Path(__file__).with_name("fork_server.py")


class ForkedProcess:
    """A server forked from a fork server, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, environment: Mapping[str, str], folder: Path, output: BinaryIO) -> None:
        mode = environment.get("SOCKETIO_ASYNC_MODE", "eventlet")
        receiver, sender = os.pipe()
        request = json.dumps({"environment": dict(environment), "folder": str(folder)})
        socket.send_fds(fork_server(mode), [request.encode()], [output.fileno(), sender])
        os.close(sender)
        self._reports = os.fdopen(receiver, "rb", buffering=0)
        self.args = ["fork_server.py", mode]
        self.returncode: int | None = None
        self.pid = int(self._reports.readline())

    def poll(self) -> int | None:
        """Return the exit status, or None while the process runs."""
        return self._read_status(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raise TimeoutExpired after `timeout` seconds."""
        status = self._read_status(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process as a crash would."""
        self.send_signal(signal.SIGKILL)

    def _read_status(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._reports], [], [], timeout)[0]:
            with self._reports:
                self.returncode = int(self._reports.readline())
        return self.returncode


@functools.cache
def fork_server(mode: str) -> socket.socket:
    """Start the fork server of an async mode; return the socket for requests."""
    control, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its_end:
        process = subprocess.Popen(
            [sys.executable, str(FORK_SERVER), mode, str(its_end.fileno())],
            env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            pass_fds=[its_end.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def end() -> None:
        control.close()
        process.wait()

    atexit.register(end)
    return control
