"""A server under attack: the waiting time of other clients, and the memory and log it costs."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.live import LiveTrader
from tests.support.server import ROOT, ServerProcess

MEGABYTE = 1024 * 1024
PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Target:
    """What is attacked: a port, the processes behind it, and who connects from where."""

    port: int
    processes: Sequence[ServerProcess]
    # The certificate of a proxy with TLS.
    certificate: Path | None = None
    # One for each attack at the same time: the limits are by address.
    attackers: Sequence[str] = tuple(f"127.0.1.{number}" for number in range(1, 11))
    other_client: str = "127.0.0.2"

    @classmethod
    def of(cls, server: ServerProcess) -> Target:
        return cls(server.port, [server])

    @property
    def memory(self) -> int:
        """The resident memory of the processes, in bytes."""
        return sum(map(memory_of, self.processes))

    @property
    def log_size(self) -> int:
        return sum(process.log.stat().st_size for process in self.processes)

    def call(self, method: str, path: str, token: str = "", body: Any = None) -> tuple[int, Any]:
        """Send a request as another client, on a new connection; return status and body."""
        source = (self.other_client, 0)
        connection = (
            http.client.HTTPSConnection(
                "127.0.0.1",
                self.port,
                timeout=30,
                source_address=source,
                context=ssl.create_default_context(cafile=str(self.certificate)),
            )
            if self.certificate
            else http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=30, source_address=source
            )
        )
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        with closing(connection):
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


def memory_of(server: ServerProcess) -> int:
    """Return the resident memory of the server and its children, in bytes.

    The embedded database is no child that counts: it caches what it reads.
    """
    assert server.process is not None
    return sum(map(_resident, [server.process.pid, *_web_workers(server.process.pid)]))


def _web_workers(pid: int) -> list[int]:
    """Return the processes that gunicorn has started; a server of its own has none."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"gunicorn" in _command_of(child)]


def _command_of(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@dataclass(slots=True)
class Cost:
    """The cost of an attack: the longest waits in seconds, and the growth in bytes."""

    slowest_health: float = 0.0
    slowest_closure: float = 0.0
    closures: int = 0
    memory: int = 0
    memory_after: int = 0
    log: int = 0
    attackers: dict[str, str] = field(default_factory=dict)


class AttackMonitor:
    """Measures a server from another address during an attack."""

    def __init__(self, target: Target, trader: LiveTrader) -> None:
        self._target = target
        self._trader = trader
        self._cost = Cost()
        self._is_over = threading.Event()
        self._failures: list[BaseException] = []
        self._memory = 0

    def run(self, kinds: Sequence[str], seconds: float) -> Cost:
        """Attack the server for `seconds`, in all these ways at once; return the cost."""
        target = self._target
        log = target.log_size
        self._memory = target.memory
        watchers = [
            threading.Thread(target=self._watch, args=(watch,))
            for watch in (self._ask_health, self._measure_memory, self._close_trades)
        ]
        attacks = {
            kind: self._begin(kind, seconds, attacker)
            for kind, attacker in zip(kinds, target.attackers, strict=False)
        }
        for watcher in watchers:
            watcher.start()
        try:
            for kind, attack in attacks.items():
                output = attack.communicate(timeout=seconds + 60)[0]
                self._cost.attackers[kind] = output.decode().strip()
        finally:
            for attack in attacks.values():
                attack.kill()
            self._is_over.set()
            for watcher in watchers:
                watcher.join()
        failed = [kind for kind, attack in attacks.items() if attack.returncode != 0]
        assert not failed, f"attacks failed: {failed}"
        assert not self._failures, self._failures
        self._cost.log = target.log_size - log
        self._cost.memory_after = self._target.memory - self._memory
        return self._cost

    def _begin(self, kind: str, seconds: float, attacker: str) -> subprocess.Popen[bytes]:
        target = self._target
        command = [sys.executable, "-m", "tests.support.attack", kind, str(target.port)]
        certificate = [str(target.certificate)] if target.certificate else []
        return subprocess.Popen(
            [*command, str(seconds), attacker, *certificate], cwd=ROOT, stdout=subprocess.PIPE
        )

    def _watch(self, watch: Callable[[], None]) -> None:
        try:
            while not self._is_over.is_set():
                watch()
                time.sleep(PAUSE_SECONDS)
        except BaseException as error:
            self._failures.append(error)

    def _ask_health(self) -> None:
        begun = time.monotonic()
        status, _ = self._target.call("GET", "/health/live")
        assert status == 200
        self._cost.slowest_health = max(self._cost.slowest_health, time.monotonic() - begun)

    def _measure_memory(self) -> None:
        self._cost.memory = max(self._cost.memory, self._target.memory - self._memory)

    def _close_trades(self) -> None:
        """Open trades whose stop-loss the next tick reaches, and wait until each is closed."""
        token = self._trader.token
        _, quote = self._target.call("GET", "/market/live/NIFTY")
        order = {
            "symbol": "NIFTY",
            "trade_type": "BUY",
            "quantity": 1,
            "stop_loss": quote["price"] - 20.5,
        }
        status, trade = self._target.call("POST", "/trades/create", token, order)
        assert status in (201, 400), trade
        if status == 400:
            # The price has already passed the stop-loss.
            return
        begun = time.monotonic()
        path = f"/trades/{self._trader.client_id}?limit=1"
        while self._target.call("GET", path, token)[1]["trades"][0]["status"] == "ACTIVE":
            assert time.monotonic() - begun < 60, "the stop-loss does not close the trade"
            time.sleep(PAUSE_SECONDS)
        self._cost.slowest_closure = max(self._cost.slowest_closure, time.monotonic() - begun)
        self._cost.closures += 1
