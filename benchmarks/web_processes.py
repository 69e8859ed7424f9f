"""What a second web process costs and gives, through nginx with TLS.

    python -m benchmarks.web_processes --seconds 4 --rounds 5

One nginx has both web processes, another one only the first. Both are asked in turn, so what else
the machine does meets both alike. The CPU time of the web processes for each request says whether
they share work or hinder each other, whatever the machine does. Their rate says so only if cores
are free: the table shows how many were in use. Needs the packages of `make load`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from app.cli.tables import table
from benchmarks.measure import percentile
from benchmarks.support.load import Answers, Call, apart, drive
from benchmarks.support.production import Production, cpu_seconds, production
from tests.support.live import LiveTrader
from tests.support.nginx import Nginx
from tests.support.server import Process, free_port

USERS = 32
ORDER = {"symbol": "NIFTY", "trade_type": "BUY", "quantity": 1}
STATUS = {"GET": 200, "POST": 201}
CORES = os.cpu_count() or 1
CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Side:
    """Web processes behind one nginx, and the processes of each part, by its name."""

    port: int
    parts: Mapping[str, Sequence[Process | None]]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one kind of request gave in one round: the answers, and each part's CPU time in s."""

    answers: Answers
    cpu: Mapping[str, float]
    # Cores in use by all programs of the machine.
    busy: float

    @property
    def cores(self) -> float:
        """Cores in use by all parts together."""
        return sum(self.cpu.values()) * self.answers.rate / len(self.answers.seconds)

    def milliseconds(self, part: str) -> float:
        """Return the CPU time of a part for each request, in ms."""
        return self.cpu[part] / len(self.answers.seconds) * 1_000


# By kind of request and number of web processes: one for each round.
Rounds = dict[str, dict[int, list[Measured]]]


def main() -> int:
    """Measure and print the tables."""
    arguments = _arguments()
    with (
        tempfile.TemporaryDirectory() as folder,
        production(Path(folder)) as system,
        _sides(system, Path(folder)) as sides,
        apart() as process,
    ):
        users = [LiveTrader(system.nginx) for _ in range(USERS)]
        for user in users:
            user.open_portfolio()
        kinds = dict(_calls(users))
        rounds = _measure(sides, process, kinds, arguments.rounds, arguments.seconds)
    print(_table(rounds))
    print(f"\n{_ratios(rounds)}")
    return 0


@contextmanager
def _sides(system: Production, folder: Path) -> Iterator[dict[int, Side]]:
    """Start an nginx with the first web process alone; yield both sides."""
    webs = system.deployment.webs
    (folder / "one").mkdir()
    # Nothing listens on the second port: nginx tries it again once in two seconds.
    alone = Nginx(folder / "one", [webs[0].port, free_port()])
    try:
        alone.start()
        yield {
            count: Side(
                nginx.port,
                {
                    "web": [web.process for web in webs[:count]],
                    "nginx": [nginx.process],
                    "database": [system.database.process],
                },
            )
            for count, nginx in ((1, alone), (2, system.nginx))
        }
    finally:
        alone.stop()


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
    sides: Mapping[int, Side],
    process: ProcessPoolExecutor,
    kinds: Mapping[str, list[Call]],
    rounds: int,
    seconds: float,
) -> Rounds:
    measured: Rounds = defaultdict(lambda: defaultdict(list))
    # The first round is a warm-up.
    for number in range(rounds + 1):
        for kind, calls in kinds.items():
            # None is always the one that comes second.
            for count in sorted(sides, reverse=bool(number % 2)):
                result = _measure_once(sides[count], process, calls, seconds)
                if number:
                    measured[kind][count].append(result)
    return measured


def _measure_once(
    side: Side, process: ProcessPoolExecutor, calls: Sequence[Call], seconds: float
) -> Measured:
    before, busy, began = _cpu(side), _busy_seconds(), time.perf_counter()
    answers, client = process.submit(_drive, side.port, calls, seconds).result()
    busy = (_busy_seconds() - busy) / (time.perf_counter() - began)
    cpu = {part: now - before[part] for part, now in _cpu(side).items()}
    return Measured(answers.require(STATUS[calls[0].method]), {**cpu, CLIENT: client}, busy)


def _cpu(side: Side) -> dict[str, float]:
    return {part: sum(map(cpu_seconds, each)) for part, each in side.parts.items()}


def _busy_seconds() -> float:
    """Return the CPU time that all programs of the machine have used since its start, in s."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


def _drive(port: int, calls: Sequence[Call], seconds: float) -> tuple[Answers, float]:
    """Return the answers, and the processor time that this client took, in s."""
    before = sum(psutil.Process().cpu_times()[:2])
    answers = drive(port, calls, seconds, secure=True)
    return answers, sum(psutil.Process().cpu_times()[:2]) - before


def _table(rounds: Rounds) -> str:
    """Return the medians of both sides."""
    parts = list(next(iter(rounds.values()))[1][0].cpu)
    rows = []
    for kind, sides in rounds.items():
        for count, measured in sorted(sides.items()):
            times = [each for one in measured for each in one.answers.seconds]
            rows.append(
                [
                    kind if count == 1 else "",
                    str(count),
                    f"{median(one.answers.rate for one in measured):,.0f}",
                    *(f"{percentile(times, share) * 1_000:.0f}" for share in (0.5, 0.99)),
                    *(
                        f"{median(one.milliseconds(each) for one in measured):.2f}"
                        for each in parts
                    ),
                    f"{median(one.cores for one in measured):.1f}",
                    f"{median(one.busy for one in measured):.1f} of {CORES}",
                ]
            )
    costs = [f"{part} ms" for part in parts]
    heading = [
        "request",
        "processes",
        "a second",
        "p50 ms",
        "p99 ms",
        *costs,
        "cores",
        "all in use",
    ]
    return table(heading, rows)


def _ratios(rounds: Rounds) -> str:
    """Return what two web processes have of one: CPU time for each request, and rate.

    The cores that one of them leaves free limit the rate: `at most`.
    """
    rows = []
    for kind, sides in rounds.items():
        most = CORES / median(one.cores for one in sides[1])
        rows.append(
            [
                kind,
                _ratio(sides, lambda one: one.milliseconds("web")),
                _ratio(sides, lambda one: one.answers.rate),
                f"{min(most, 2):.2f}",
            ]
        )
    return table(["two web processes to one", "CPU time", "rate", "at most"], rows)


def _ratio(sides: Mapping[int, Sequence[Measured]], value: Callable[[Measured], float]) -> str:
    """Return the median of the rounds' ratios, the lowest and the highest."""
    ratios = [value(two) / value(one) for one, two in zip(sides[1], sides[2], strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web_processes", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4, help="for each kind, side and round")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
