"""A pass over a tick of each of 500 shares, with nothing due: among 1,000 that wait and 100,000."""

from __future__ import annotations

import inspect
import itertools
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from bson import ObjectId

from app.alerts.service import set_alert
from app.domain.order import Order, OrderType
from app.domain.side import TradeType
from app.models import SymbolState, Trail
from app.monitor import Monitor
from app.monitor.known_bounds import MAX_NARROWED, KnownBounds
from app.trades.service import open_trade
from benchmarks.measure import Goal, Result, result_of
from benchmarks.support.books import PRICE, move, seed_users
from benchmarks.support.copies import copy_all, copy_indexes
from benchmarks.support.crowd import kept
from benchmarks.support.nifty500 import SYMBOLS, list_shares
from benchmarks.support.world import World, world
from config import DATABASE_NAME

FEW, MANY = 1_000, 100_000
FEW_NAME = "few"
PASSES = 15
ROUNDS = 7
BATCH = 2_000
# The number of the first copy.
FIRST = 1_000
# Nothing waits within 10 % of the price.
TICK = Decimal("0.05")
FAR = Decimal(2_500)
# What every sixth document is a copy of, each with levels that are FAR away.
ORDERS = (
    Order("", TradeType.BUY, 1, PRICE - FAR, PRICE + FAR),
    Order("", TradeType.SELL, 1, PRICE + FAR, PRICE - FAR),
    Order("", TradeType.BUY, 1, order_type=OrderType.LIMIT, limit_price=PRICE - FAR),
    Order("", TradeType.BUY, 1, order_type=OrderType.STOP, stop_price=PRICE + FAR),
    Order("", TradeType.BUY, 1, trailing_offset=FAR),
)
LEVELS = {"trigger_below": -1, "trigger_above": 1, "below": -1, "above": 1}

Document = dict[str, Any]


def measure() -> list[Result]:
    """Measure the milliseconds of a pass among many that wait over those among few."""
    parts = inspect.getsource(_write), inspect.getsource(_copies), f"{ORDERS} {MANY}"
    with world(copy_of=kept("bounds", _write, *parts)) as here:
        list_shares(here)
        _copy_few(here)
        prices = (PRICE + each % 2 * TICK for each in itertools.count())
        monitors = {}
        for name in (DATABASE_NAME, FEW_NAME):
            with here.on(name):
                _learn_bounds(here)
                monitors[name] = Monitor(here.app)
            _passes(here, name, monitors[name], prices, PASSES)
        rounds = [
            tuple(_passes(here, name, each, prices, PASSES) for name, each in monitors.items())
            for _ in range(ROUNDS)
        ]
        among_many, among_few = (
            statistics.median(each[side] for each in rounds) for side in (0, 1)
        )
        return [
            result_of(
                f"a pass over {len(SYMBOLS)} shares, nothing due among {MANY:,} that wait",
                f"the same among {FEW:,}",
                Goal(at_most=1.3),
                [many / few for many, few in rounds],
                parts=f"{among_many:,.3g} : {among_few:,.3g} ms",
            )
        ]


def _write(here: World) -> None:
    """Write MANY trades and alerts that wait, evenly over the shares."""
    list_shares(here)
    (user,) = seed_users(here, 1)
    symbol = SYMBOLS[0]
    with here.app.app_context():
        move(here, symbol, PRICE)
        for order in ORDERS:
            open_trade(user, replace(order, symbol=symbol))
        set_alert(user, symbol, above=PRICE + FAR, below=PRICE - FAR)
        for each in SYMBOLS:
            SymbolState.mark_traded(each, here.clock.now())
            SymbolState.mark_alerted(each, here.clock.now())
            Trail.mark(each, here.clock.now() - timedelta(hours=1))
    for name, share in (("trades", 5), ("alerts", 1)):
        samples = list(here.db[name].find())
        copies = _copies(samples, MANY * share // 6)
        while batch := list(itertools.islice(copies, BATCH)):
            here.db[name].insert_many(batch, ordered=False)
    # Learned by the passes, as after a migration.
    here.db.bounds.delete_many({})


def _copies(samples: list[Document], count: int) -> Iterator[Document]:
    for number in range(count):
        sample = samples[number // len(SYMBOLS) % len(samples)]
        levels = {
            name: sample[name] + sign * Decimal(number % 5_000) / 10
            for name, sign in LEVELS.items()
            if sample.get(name) is not None
        }
        own = {"_id": ObjectId(), "number": number + 1_000, "symbol": SYMBOLS[number % 500]}
        yield {**sample, **own, **levels}


def _copy_few(here: World) -> None:
    few = here.client[FEW_NAME]
    for name in here.db.list_collection_names():
        if name not in ("trades", "alerts"):
            copy_all(here.db[name], few[name])
            continue
        copy_indexes(here.db[name], few[name])
        # Every share has a trailing stop, as among the many, and one other trade or an alert.
        numbers = [(0, 400, 100)]
        if name == "trades":
            numbers = [(kind, kind * 100, 100) for kind in range(4)] + [(4, 0, 500)]
        for kind, share, count in numbers:
            first = FIRST + kind * len(SYMBOLS) + share
            chosen = {"$gte": first, "$lt": first + count}
            few[name].insert_many(here.db[name].find({"number": chosen}))


def _passes(
    here: World, name: str, monitor: Monitor, prices: Iterable[Decimal], count: int
) -> float:
    """Make passes, each over a tick of every share; return their median milliseconds."""
    durations = []
    with here.on(name):
        monitor.run_once()
        for price in itertools.islice(prices, count):
            for symbol in SYMBOLS:
                here.feed.push(symbol, price)
            began = time.perf_counter()
            monitor.run_arrived()
            durations.append((time.perf_counter() - began) * 1_000)
    return statistics.median(durations)


def _learn_bounds(here: World) -> None:
    """Store the bounds of every share, as passes do of a few shares each."""
    bounds = KnownBounds(here.clock)
    with here.app.app_context():
        ticks = [here.feed.set(symbol, PRICE) for symbol in SYMBOLS]
        for _ in range(0, len(SYMBOLS), MAX_NARROWED):
            bounds.narrow(ticks)
        if len(bounds.quiet(ticks)) < len(SYMBOLS):
            raise RuntimeError("the bounds of some shares are unknown")
