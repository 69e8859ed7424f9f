"""`make load`: 100 traders and 1,000 sockets through nginx, and a check of everything afterwards.

    python -m benchmarks.load --seconds 300

It starts MongoDB's stand-in, Redis, nginx, two web processes and two workers, runs
`benchmarks.locustfile`, and fails if a request failed, an event was lost or doubled, the books do
not balance, or a process still grows in the second half.
"""

from __future__ import annotations

# First: it makes the standard library cooperative.
from benchmarks.locustfile import SOCKETS_OF_A_TRADER, TRADERS, USERS, WATCHERS  # isort: skip

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import gevent
from locust.env import Environment
from locust.runners import LocalRunner
from locust.stats import StatsEntry

from app.cli.tables import table
from benchmarks.support.production import Production, production
from tests.support.audit import Auditor, Snapshot

SOCKETS = TRADERS * SOCKETS_OF_A_TRADER + WATCHERS
SPAWNED_PER_SECOND = 20
REPORT_SECONDS = 15
MAX_GROWTH = 0.05
# Of the second half, the parts whose memory is compared.
COMPARED_SHARE = 0.2
STOP_SECONDS = 90


class Progress:
    """Prints a line for each interval, and keeps the memory of the processes."""

    def __init__(self, runner: LocalRunner, system: Production) -> None:
        self.memory: list[dict[str, float]] = []
        self._stats = runner.stats
        self._runner = runner
        self._system = system
        self._began = self._since = time.monotonic()
        self._requests = self._prices = self._events = 0

    def print_heading(self) -> None:
        names = " ".join(f"{name:>8}" for name in self._system.memory())
        print(f"\n seconds  users  requests/s  failed  p50/p99 ms  prices/s  events/s  {names}  MB")

    def report(self) -> None:
        """Print what happened since the last line."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        requests = sum(entry.num_requests for entry in http_entries(self._stats.entries))
        prices, events = self._count("live_price"), self._count("trade_update")
        memory = self._system.memory()
        self.memory.append(memory)
        total = self._stats.total
        slowest = [entry for entry in http_entries(self._stats.entries) if entry.num_requests]
        p50 = max((entry.get_response_time_percentile(0.5) for entry in slowest), default=0)
        p99 = max((entry.get_response_time_percentile(0.99) for entry in slowest), default=0)
        print(
            f"{now - self._began:8.0f} {self._runner.user_count:6} "
            f"{(requests - self._requests) / seconds:11.1f} {total.num_failures:7} "
            f"{f'{p50:.0f}/{p99:.0f}':>11} {(prices - self._prices) / seconds:9.0f} "
            f"{(events - self._events) / seconds:9.0f}  "
            + " ".join(f"{megabytes:8.1f}" for megabytes in memory.values()),
            flush=True,
        )
        self._requests, self._prices, self._events = requests, prices, events

    def _count(self, name: str) -> int:
        return int(self._stats.get(name, "SOCKET").num_requests)


def http_entries(entries: dict[tuple[str, str], StatsEntry]) -> list[StatsEntry]:
    """Return the statistics of requests, without those of sockets."""
    return [entry for (_, method), entry in sorted(entries.items()) if method != "SOCKET"]


def main() -> int:
    """Run the load; return 1 if a check fails."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        print("Starting the database, Redis, nginx, two web processes and two workers ...")
        with production(Path(folder)) as system:
            problems = run_load(system, arguments.seconds)
    for problem in problems[:20]:
        print(f"FAILED: {problem}")
    if not problems:
        print("No error, no event lost or doubled, the books balance, and memory is flat.")
    return 1 if problems else 0


def run_load(system: Production, seconds: float) -> list[str]:
    """Run the scenario for so many seconds once all users are there; return what is wrong."""
    environment = Environment(
        user_classes=list(USERS), host=system.nginx.url, stop_timeout=STOP_SECONDS
    )
    runner = environment.create_local_runner()
    progress = Progress(runner, system)
    print(f"{TRADERS} traders and {SOCKETS} sockets for {seconds:.0f} s ...")
    progress.print_heading()
    runner.start(TRADERS + WATCHERS, spawn_rate=SPAWNED_PER_SECOND)
    while runner.state == "spawning":
        gevent.sleep(REPORT_SECONDS)
        progress.report()
    progress.memory.clear()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        gevent.sleep(min(REPORT_SECONDS, max(end - time.monotonic(), 0.1)))
        progress.report()
    runner.stop()
    print(f"\n{_summary(environment)}\n")
    return [
        *_failures(environment),
        *_growth(progress.memory),
        *Auditor(Snapshot.take(system.database_uri, system.database_name)).run(),
        *_undelivered(environment, system),
    ]


def _summary(environment: Environment) -> str:
    rows = [
        [
            f"{entry.method} {entry.name}",
            f"{entry.num_requests:,}",
            f"{entry.num_failures:,}",
            *(f"{entry.get_response_time_percentile(share):,.0f}" for share in (0.5, 0.95, 0.99)),
        ]
        for _, entry in sorted(environment.stats.entries.items())
        if entry.num_requests
    ]
    return table(["", "times", "failed", "p50 ms", "p95 ms", "p99 ms"], rows)


def _failures(environment: Environment) -> list[str]:
    connected = environment.stats.get("connect", "SOCKET").num_requests
    missing = [] if connected == SOCKETS else [f"{connected} of {SOCKETS} sockets were connected"]
    return missing + [
        f"{error.occurrences} x {error.method} {error.name}: {error.error}"
        for error in environment.stats.errors.values()
    ]


def _growth(samples: list[dict[str, float]]) -> list[str]:
    """Return the web processes and workers that grew too much in the second half."""
    half = samples[len(samples) // 2 :]
    part = max(round(len(half) * COMPARED_SHARE), 1)
    problems = []
    for name in half[0]:
        first = median(sample[name] for sample in half[:part])
        last = median(sample[name] for sample in half[-part:])
        print(f"{name}: {first:.1f} MB at half time, {last:.1f} MB later ({last / first - 1:+.1%})")
        if name.startswith(("web", "worker")) and last > first * (1 + MAX_GROWTH):
            problems.append(f"{name} grew from {first:.1f} to {last:.1f} MB in the second half")
    return problems


def _undelivered(environment: Environment, system: Production) -> list[str]:
    snapshot = Snapshot.take(system.database_uri, system.database_name)
    due = len(snapshot.notifications) * SOCKETS_OF_A_TRADER
    delivered = environment.stats.get("trade_update", "SOCKET").num_requests
    print(f"{len(snapshot.notifications):,} events, delivered {delivered:,} times to the sockets")
    return [] if delivered == due else [f"{delivered} deliveries of events instead of {due}"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long the load lasts")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
