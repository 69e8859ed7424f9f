"""The server as a process, started as a user starts it."""

from __future__ import annotations

import itertools
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import requests

from tests.support.forked_process import ForkedProcess

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 180
# The cheapest that werkzeug computes: it gives scrypt too little memory for fewer rounds.
CHEAP_HASH = "scrypt:128:8:1"
# The only variables that a server under test inherits: a developer's settings must not reach it.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "COVERAGE_PROCESS_START")
# Variables that the interpreter and the libraries read before a forked server begins.
READ_AT_IMPORT = re.compile("PYTHON|COVERAGE|EVENTLET|GEVENT|OPENBLAS").match

Process = subprocess.Popen[bytes] | ForkedProcess


def _port_numbers() -> Iterator[int]:
    """Yield ports below those that Linux gives to outgoing connections (32,768 to 60,999).

    One of those could be taken between its choice and its use. Each worker has 2,000 of its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    start = random.randrange(2_000)
    for number in itertools.count(start):
        yield 12_000 + 2_000 * (worker % 8) + number % 2_000


_ports = _port_numbers()


def free_port() -> int:
    """Return a port that nothing uses."""
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("there are always more ports")


class Server(Protocol):
    """What a client needs of a server, or of a proxy in front of servers."""

    url: str

    def request(
        self, method: str, path: str, token: str | None = None, **kwargs: Any
    ) -> requests.Response: ...

    def output(self) -> str: ...


class ServerProcess:
    """`python run.py` with its own port and data folder.

    `start` of one that is not `fresh` forks it from a process that has imported it; see
    tests/support/fork_server.py. `spawn` always runs the command.
    """

    def __init__(
        self,
        folder: Path,
        *,
        entry: Path = ROOT / "run.py",
        command: Sequence[str] | None = None,
        fresh: bool = True,
        **environment: Any,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.entry = entry
        self.fresh = fresh
        # Another program than `python run.py`.
        self.command = command
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self.process: Process | None = None
        # The soft and hard limit of open files; None for the system's.
        self.descriptors: tuple[int, int] | None = None
        self.environment = {
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
            "PORT": str(self.port),
            "DATA_DIR": str(folder / "data"),
            "APP_ENV": "testing",
            "RATELIMIT_ENABLED": "false",
            "MONITOR_INTERVAL_SECONDS": "0.2",
            # Production refuses a cheap hash.
            "PASSWORD_HASH": "" if environment.get("APP_ENV") == "production" else CHEAP_HASH,
            **{name: str(value) for name, value in environment.items()},
        }

    def start(self) -> ServerProcess:
        """Start the server and wait until it is ready."""
        if self._can_be_forked():
            with self.log.open("ab") as log:
                self.process = ForkedProcess(self.environment, self.folder, log)
        else:
            self.spawn()
        self.wait_until_ready()
        return self

    def _can_be_forked(self) -> bool:
        is_usual = self.entry == ROOT / "run.py" and not self.command and not self.descriptors
        can_fork = sys.platform == "linux" and not any(map(READ_AT_IMPORT, self.environment))
        return is_usual and can_fork and not self.fresh

    def wait_until_ready(self) -> None:
        """Wait until the started server is ready."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended immediately:\n{self.output()}")
            if self.is_ready():
                return
            time.sleep(0.05)
        raise AssertionError(f"the server was not ready in time:\n{self.output()}")

    def is_ready(self) -> bool:
        """Return whether the server says that it is ready."""
        try:
            return requests.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server without waiting."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command or [sys.executable, str(self.entry)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self._limit_descriptors if self.descriptors else None,
            )
        self.process = process
        return process

    def _limit_descriptors(self) -> None:
        assert self.descriptors is not None
        resource.setrlimit(resource.RLIMIT_NOFILE, self.descriptors)

    def stop(self, number: int = signal.SIGINT, timeout: float = 15) -> int:
        """Send a signal and wait for the end; return the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        return self.process.wait()

    def kill(self) -> None:
        """End the server as a crash would."""
        self.stop(signal.SIGKILL)

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def request(
        self, method: str, path: str, token: str | None = None, **kwargs: Any
    ) -> requests.Response:
        headers = kwargs.pop("headers", {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        kwargs.setdefault("timeout", 30)
        return requests.request(method, f"{self.url}{path}", headers=headers, **kwargs)


@contextmanager
def servers_in(folder: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Make servers, forked unless `fresh`, in folders inside `folder`; end them afterwards."""
    servers: list[ServerProcess] = []

    def make(name: str = "server", fresh: bool = False, **environment: Any) -> ServerProcess:
        server = ServerProcess(folder / name, fresh=fresh, **environment)
        servers.append(server)
        return server

    try:
        yield make
    finally:
        for server in servers:
            if server.process is not None:
                server.stop()
