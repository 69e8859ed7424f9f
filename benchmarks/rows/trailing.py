"""A pass of the monitor in a rising market, with 10,000 trailing stops and without."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from app.models import Trail
from app.monitor import Monitor
from benchmarks.measure import Goal, Result, result_of
from benchmarks.support.books import PRICE, seed_trades, seed_users
from benchmarks.support.copies import copy_all
from benchmarks.support.world import World, world
from config import DATABASE_NAME

USERS = 100
TRADES = 10_000
PASSES = 40
ROUNDS = 7
PLAIN = "plain"
TICK = Decimal("0.05")
# Rupees and percent from the best price: none of them fires, and each differs from its neighbours.
NEAREST, STEP = Decimal(500), Decimal("0.25")


def measure() -> list[Result]:
    """Measure the milliseconds of a pass with trailing stops over those of one without."""
    with world() as here:
        seed_trades(here, seed_users(here, USERS), TRADES // USERS)
        _copy(here)
        _set_trailing_stops(here)
        prices = (PRICE + each * TICK for each in itertools.count())
        monitors = {}
        for name in (DATABASE_NAME, PLAIN):
            with here.on(name):
                monitors[name] = Monitor(here.app)
        for name, monitor in monitors.items():
            _passes(here, name, monitor, prices)
        rounds = [
            tuple(_passes(here, name, monitor, prices) for name, monitor in monitors.items())
            for _ in range(ROUNDS)
        ]
        trailing, plain = (statistics.median(each[side] for each in rounds) for side in (0, 1))
        return [
            result_of(
                f"a pass with {TRADES:,} trailing stops in a rising market",
                "the same trades without them",
                Goal(at_most=1.3),
                [ours / theirs for ours, theirs in rounds],
                parts=f"{trailing:,.3g} : {plain:,.3g} ms",
            )
        ]


def _copy(here: World) -> None:
    """Copy the database, with its indexes, to one of trades without trailing stops."""
    for name in here.db.list_collection_names():
        copy_all(here.db[name], here.client[PLAIN][name])


def _set_trailing_stops(here: World) -> None:
    documents = [
        {**document, **_trailing_fields(number)}
        for number, document in enumerate(here.db.trades.find())
    ]
    here.db.trades.delete_many({})
    here.db.trades.insert_many(documents, ordered=False)
    with here.app.app_context():
        Trail.mark("^NSEI", here.clock.now() - timedelta(hours=1))


def _trailing_fields(number: int) -> dict[str, Any]:
    is_percent = number % 2 == 1
    distance = 2 + STEP * (number % 100) / 10 if is_percent else NEAREST + STEP * number
    return {
        "trailing_offset": None if is_percent else distance,
        "trailing_pct": distance if is_percent else None,
        "trailing_step": Decimal("0.01"),
        "trailing_tick_size": Decimal("0.01"),
        "trail_unit": "percent" if is_percent else "rupees",
        "trail": distance,
    }


def _passes(here: World, name: str, monitor: Monitor, prices: Iterator[Decimal]) -> float:
    """Make passes, each over the next price; return their median milliseconds."""
    durations = []
    with here.on(name):
        for price in itertools.islice(prices, PASSES):
            here.feed.tick("^NSEI", price)
            began = time.perf_counter()
            monitor.run_once()
            durations.append((time.perf_counter() - began) * 1_000)
    return statistics.median(durations)
