"""A tick with nothing due among 500 resting orders, beside nautilus_trader's engine in memory.

An optional extra: `pip install nautilus_trader` in an environment of its own, which needs this
project's requirements as well.
"""

from __future__ import annotations

import itertools
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
TICKS = 200
STEP = PRICE / 100_000


def measure() -> list[Result]:
    """Measure the microseconds of a tick that triggers nothing, each in a pass of its own.

    Raises Skipped if the package is not installed.
    """
    if find_spec(PACKAGE) is None:
        raise Skipped(f"{PACKAGE} is not installed")
    from benchmarks.support.nautilus import NautilusEngine

    theirs = NautilusEngine(ORDERS)
    with world() as here:
        seed_trades(here, seed_users(here, USERS), ORDERS // USERS)
        monitor = Monitor(here.app)
        # The bounds of the symbol are learned by a pass, from the second one on they are known.
        _microseconds_each(here, monitor)
        return [
            ratio_of(
                f"a tick that triggers none of {ORDERS} active trades, in a pass of its own",
                f"{PACKAGE} {theirs.version}, in memory, {ORDERS} resting orders",
                Goal(at_most=2),
                ours=lambda: _microseconds_each(here, monitor),
                peer=lambda: theirs.microseconds_a_tick(TICKS * 10),
                unit="us",
            )
        ]


def _microseconds_each(here: World, monitor: Monitor) -> float:
    durations = []
    for number in itertools.islice(itertools.cycle((0, 1)), TICKS):
        here.feed.push("^NSEI", PRICE + number * STEP)
        began = time.perf_counter()
        monitor.run_arrived()
        durations.append((time.perf_counter() - began) * 1e6)
    return statistics.median(durations)
