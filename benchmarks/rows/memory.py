"""The memory of a server in whose database 100,000 trades are active, against one with none."""

from __future__ import annotations

import statistics
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.measure import Goal, Result, result_of
from benchmarks.support.crowd import TRADES
from benchmarks.support.existing import Existing, existing
from benchmarks.support.load import Call, apart, drive
from benchmarks.support.usage import memory

ROUNDS = 4
CLIENTS = 8
SECONDS = 1.5
PASS_SECONDS = 0.25


def measure() -> list[Result]:
    """Measure what active trades add to the server process, in MB; its database is another."""
    with existing() as folders, apart() as clients:
        rounds = []
        for number in range(ROUNDS):
            sides = [folders.crowded, folders.quiet]
            taken = {
                side: _memory(folders, side, clients)
                for side in (sides if number % 2 else reversed(sides))
            }
            rounds.append((taken[folders.crowded], taken[folders.quiet]))
    crowded, quiet = (statistics.median(side) for side in zip(*rounds, strict=True))
    return [
        result_of(
            f"memory of the server, {TRADES:,} active trades",
            "the same with none",
            Goal(at_most=20, unit="MB"),
            [mine - theirs for mine, theirs in rounds],
            f"{crowded:.4g} : {quiet:.4g} MB",
        )
    ]


def _memory(folders: Existing, data_dir: Path, clients: ProcessPoolExecutor) -> float:
    """Return the memory, in MB, after some passes of the monitor and the same requests."""
    users = folders.users[:CLIENTS]
    paths = ["/trades/{}?limit=50", "/trades/performance/{}", "/portfolio/{}"]
    calls = [
        Call("GET", path.format(user), token)
        for user, token in zip(users, folders.here.tokens(users), strict=True)
        for path in paths
    ]
    with folders.server(data_dir, MONITOR_INTERVAL_SECONDS=PASS_SECONDS) as server:
        clients.submit(drive, server.port, calls, SECONDS).result().require(200)
        assert server.process is not None
        return memory(server.process.pid)
