"""Settling what one tick triggers, against the bare bulk writes of the same documents."""

from __future__ import annotations

import time
from collections.abc import Sequence

from app.database.batches import BATCH_SIZE
from benchmarks.measure import Goal, Result, ratio_of
from benchmarks.support.bare import close_trades
from benchmarks.support.books import PRICE, same_levels, seed_trades, seed_users
from benchmarks.support.closings import ClosingPattern
from benchmarks.support.world import World, world
from tests.support.execution import close_triggered

USERS = 100
TRADES = 1_000
STOP = PRICE - 100


def measure() -> list[Result]:
    """Measure trades settled a second, events included, as a share of the bare writes."""
    with world() as here:
        users = seed_users(here, USERS)
        _add_trades(here, users)
        _settle(here)
        pattern = ClosingPattern(here)

        def ours() -> float:
            _add_trades(here, users)
            return TRADES / _settle(here)

        def bare() -> float:
            _add_trades(here, users)
            closings = pattern.closings()
            began = time.perf_counter()
            close_trades(here.db, closings)
            return TRADES / (time.perf_counter() - began)

        return [
            ratio_of(
                f"settling {TRADES:,} trades of {USERS} users at one tick",
                f"bare bulk writes, {BATCH_SIZE} trades a transaction",
                Goal(at_least=0.5),
                ours=ours,
                peer=bare,
                unit="trades/s",
                # Each adds 2,000 trades first, which takes longer than what it measures.
                rounds=3,
            )
        ]


def _add_trades(here: World, users: Sequence[str]) -> None:
    """Add the trades that the tick is to trigger; there are no other active ones."""
    seed_trades(here, users, TRADES // USERS, levels=same_levels(STOP, PRICE + 100))


def _settle(here: World) -> float:
    """Settle them, as the monitor does with a tick; return the seconds it took."""
    tick = here.feed.set("^NSEI", STOP)
    with here.app.app_context():
        began = time.perf_counter()
        closed = close_triggered([tick])
        seconds = time.perf_counter() - began
    if closed != TRADES:
        raise RuntimeError(f"{closed} trades were settled, not {TRADES}")
    return seconds
