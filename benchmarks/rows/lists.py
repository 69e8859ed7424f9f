"""What a user sees of 10,000 trades, against a user with 100."""

from __future__ import annotations

import statistics
from concurrent.futures import ProcessPoolExecutor

from benchmarks.measure import Goal, Result, ratio_of
from benchmarks.support.books import seed_trades, seed_users
from benchmarks.support.load import Call, apart, drive
from benchmarks.support.world import World, world

MANY, FEW = 10_000, 100
SECONDS = 0.8
ROUNDS = 7


def measure() -> list[Result]:
    """Measure how long the performance and the first page take, each by one client at a time."""
    with world() as here, apart() as client:
        rich, poor = _seed(here, "many", MANY), _seed(here, "few", FEW)
        with here.server() as server:

            def compare(row: str, path: str, at_most: float) -> Result:
                calls = [Call("GET", path.format(user), token) for user, token in (rich, poor)]
                return _compare(client, server.port, row, calls, at_most)

            return [
                compare(f"GET trades/performance, {MANY:,} trades", "/trades/performance/{}", 3),
                compare(f"GET trades, first page of {MANY:,}", "/trades/{}?limit=50", 1.2),
            ]


def _seed(here: World, name: str, count: int) -> tuple[str, str]:
    """Return a user with `count` trades, the newer half of them active, and a token."""
    users = seed_users(here, 1, prefix=name)
    seed_trades(here, users, count // 2, closed=True)
    seed_trades(here, users, count // 2)
    return users[0], here.tokens(users)[0]


def _compare(
    client: ProcessPoolExecutor, port: int, row: str, calls: list[Call], at_most: float
) -> Result:
    many, few = calls

    def milliseconds(call: Call) -> float:
        answers = client.submit(drive, port, [call], SECONDS).result().require(200)
        return statistics.median(answers.seconds) * 1_000

    return ratio_of(
        row,
        f"the same with {FEW}",
        Goal(at_most=at_most),
        ours=lambda: milliseconds(many),
        peer=lambda: milliseconds(few),
        unit="ms",
        rounds=ROUNDS,
    )
