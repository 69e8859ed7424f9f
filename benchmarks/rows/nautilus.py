"""A tick with nothing due among 500 resting orders, beside nautilus_trader's engine in memory.

An optional extra: `pip install nautilus_trader` in an environment of its own, which needs this
project's requirements as well.
"""

from __future__ import annotations

import statistics
import time
from importlib.util import find_spec

from app.monitor import Monitor
from benchmarks.measure import Goal, Result, Skipped, ratio_of
from benchmarks.support.books import PRICE, seed_trades, seed_users
from benchmarks.support.world import World, world

PACKAGE = "nautilus_trader"
ORDERS = 500
USERS = 5
PASSES = 20
TICKS = 2_000
STEP = PRICE / 100_000


def measure() -> list[Result]:
    """Measure the microseconds of a tick that triggers nothing: alone, and in a pass of many.

    Raises Skipped if the package is not installed.
    """
    if find_spec(PACKAGE) is None:
        raise Skipped(f"{PACKAGE} is not installed")
    from benchmarks.support.nautilus import NautilusEngine

    theirs = NautilusEngine(ORDERS)
    with world() as here:
        seed_trades(here, seed_users(here, USERS), ORDERS // USERS)
        # As of `python run.py`: the world has started the database, and only `app` uses it.
        monitor = Monitor(here.app, owns_database=True)
        # The first pass learns the bounds of the symbol.
        _microseconds_a_tick(here, monitor, 1)

        def compare(row: str, ticks: int) -> Result:
            return ratio_of(
                f"a tick that triggers none of {ORDERS} active trades, {row}",
                f"{PACKAGE} {theirs.version}, in memory, {ORDERS} resting orders",
                Goal(at_most=2),
                ours=lambda: _microseconds_a_tick(here, monitor, ticks),
                peer=lambda: theirs.microseconds_a_tick(TICKS),
                unit="us",
            )

        return [compare("alone in its pass", 1), compare(f"of {ORDERS} in a pass", ORDERS)]


def _microseconds_a_tick(here: World, monitor: Monitor, ticks: int) -> float:
    """Return the median of passes over so many ticks, divided by their number."""
    durations: list[float] = []
    for _ in range(PASSES):
        for number in range(ticks):
            here.feed.push("^NSEI", PRICE + (number + len(durations)) % 2 * STEP)
        began = time.perf_counter()
        monitor.run_arrived()
        durations.append((time.perf_counter() - began) / ticks * 1e6)
    return statistics.median(durations)
