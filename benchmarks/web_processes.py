"""Throughput of two web processes against one, through nginx with TLS, and what it costs.

    python -m benchmarks.web_processes --seconds 10

Needs the packages of `make load`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.cli.tables import table
from benchmarks.measure import percentile
from benchmarks.support.load import Answers, Call, apart, drive
from benchmarks.support.production import Production, production
from tests.support.live import LiveTrader

USERS = 32
ORDER = {"symbol": "NIFTY", "trade_type": "BUY", "quantity": 1}
STATUS = {"GET": 200, "POST": 201}


@dataclass(frozen=True, slots=True)
class Measured:
    """What one kind of request gave: the answers, and the CPU time of each part, in s."""

    answers: Answers
    cpu: dict[str, float]


def main() -> int:
    """Measure and print the table."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder, production(Path(folder)) as system:
        users = [LiveTrader(system.nginx) for _ in range(USERS)]
        for user in users:
            user.open_portfolio()
        kinds = dict(_calls(users))
        with apart() as process:
            both = _measure(system, process, kinds, arguments.seconds)
            system.deployment.webs[1].stop()
            one = _measure(system, process, kinds, arguments.seconds)
    print(_table(one, both))
    return 0


def _calls(users: Sequence[LiveTrader]) -> Iterator[tuple[str, list[Call]]]:
    yield "a price", [Call("GET", "/market/live/NIFTY") for _ in users]
    yield (
        "a portfolio, one read",
        [Call("GET", f"/portfolio/{user.client_id}", user.token) for user in users],
    )
    yield (
        "an order, one transaction",
        [Call("POST", "/trades/create", user.token, ORDER) for user in users],
    )


def _measure(
    system: Production, process: ProcessPoolExecutor, kinds: dict[str, list[Call]], seconds: float
) -> dict[str, Measured]:
    measured = {}
    for kind, calls in kinds.items():
        before = system.cpu_seconds()
        driven = process.submit(_drive, system.nginx.port, calls, seconds)
        answers, client = driven.result()
        used = {name: now - before.get(name, 0.0) for name, now in system.cpu_seconds().items()}
        answers.require(STATUS[calls[0].method])
        web = used.pop("web1") + used.pop("web2", 0.0)
        cpu = {"web": web, **{name: used[name] for name in ("nginx", "database")}}
        measured[kind] = Measured(answers, {**cpu, "client": client})
    return measured


def _drive(port: int, calls: Sequence[Call], seconds: float) -> tuple[Answers, float]:
    """Return the answers, and the processor time that this client took, in s."""
    before = sum(psutil.Process().cpu_times()[:2])
    answers = drive(port, calls, seconds, secure=True)
    return answers, sum(psutil.Process().cpu_times()[:2]) - before


def _table(one: dict[str, Measured], both: dict[str, Measured]) -> str:
    rows = []
    for kind, of_one in one.items():
        of_both = both[kind]
        rate = of_both.answers.rate / of_one.answers.rate
        rows.append([kind, *_cells("1", of_one), ""])
        rows.append(["", *_cells("2", of_both), f"{rate:.2f}"])
    costs = [f"{name} ms" for name in next(iter(both.values())).cpu]
    heading = ["request", "processes", "a second", "p50 ms", "p99 ms", *costs, "2 : 1"]
    return table(heading, rows)


def _cells(processes: str, measured: Measured) -> list[str]:
    """Return the cells of a row; the last ones are CPU time for each request."""
    seconds = measured.answers.seconds
    return [
        processes,
        f"{measured.answers.rate:,.0f}",
        *(f"{percentile(seconds, share) * 1_000:.0f}" for share in (0.5, 0.99)),
        *(f"{cpu / len(seconds) * 1_000:.2f}" for cpu in measured.cpu.values()),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web_processes", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="for each kind of request")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
