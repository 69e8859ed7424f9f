"""What requests feel of a large settlement: their p99 while 5,000 trades are being settled."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal

from benchmarks.measure import Goal, Result, percentile, result_of
from benchmarks.support.books import PRICE, same_levels, seed_trades, seed_users
from benchmarks.support.load import Call, apart, drive
from benchmarks.support.streamed import streamed_market
from benchmarks.support.world import World, world

CLIENTS = 8
USERS = 100
WARM_UP_TRADES = 200
TRADES = 5_000
SLICE_SECONDS = 1.0
IDLE_SLICES = 10
STEP = Decimal(50)
ROUNDS = 5


def measure() -> list[Result]:
    """Measure the p99 of GET portfolio and GET market/live, half each, busy against idle.

    The settlement takes many seconds: its fifths are the rounds.
    """
    with world() as here, streamed_market() as market, apart() as process:
        users = seed_users(here, USERS)
        for number, count in enumerate((WARM_UP_TRADES, TRADES), 1):
            stop = PRICE - number * STEP
            seed_trades(here, users, count // USERS, levels=same_levels(stop, None))
        calls = _calls(users, here.tokens(users))
        with here.server(**market.variables) as server:
            market.wait_until_followed()
            warming_up, settling = (_unsettled(here, PRICE - n * STEP) for n in (1, 2))
            market.tick(PRICE - STEP)
            _drive_while(process, server.port, calls, warming_up)
            idle = _drive(process, server.port, calls, IDLE_SLICES)
            market.tick(PRICE - 2 * STEP)
            busy = _drive_while(process, server.port, calls, settling)
    usual = _p99(idle)
    fifths = [
        _p99(busy[len(busy) * n // ROUNDS : len(busy) * (n + 1) // ROUNDS]) for n in range(ROUNDS)
    ]
    return [
        result_of(
            "REST p99 while 5,000 trades settle",
            "the same, idle",
            Goal(at_most=3),
            [each / usual for each in fifths],
            f"{statistics.median(fifths):.3g} : {usual:.3g} ms",
        )
    ]


def _calls(users: Sequence[str], tokens: Sequence[str]) -> list[Call]:
    """Return half the clients' requests for a portfolio, half for a price."""
    half = CLIENTS // 2
    portfolios = [
        Call("GET", f"/portfolio/{user}", token)
        for user, token in zip(users[:half], tokens[:half], strict=True)
    ]
    return [*portfolios, *[Call("GET", "/market/live/NIFTY")] * half]


def _unsettled(here: World, stop_loss: Decimal) -> Callable[[], bool]:
    """Return a check that a tick is still being settled, by one find by _id."""
    # Trades are settled in the order of their ids.
    trades = here.db.trades.find({"stop_loss": stop_loss}, {"_id": 1})
    last = max(each["_id"] for each in trades)
    return lambda: here.db.trades.find_one({"_id": last, "status": "ACTIVE"}) is not None


def _drive_while(
    process: ProcessPoolExecutor, port: int, calls: list[Call], goes_on: Callable[[], bool]
) -> list[list[float]]:
    """Return the seconds of each response, by slices; one that ends after a slice is left out."""
    slices: list[list[float]] = []
    while True:
        latest = _drive(process, port, calls, 1)
        if not goes_on():
            return slices
        slices += latest


def _drive(
    process: ProcessPoolExecutor, port: int, calls: list[Call], slices: int
) -> list[list[float]]:
    answers = [
        process.submit(drive, port, calls, SLICE_SECONDS).result().require(200)
        for _ in range(slices)
    ]
    return [each.seconds for each in answers]


def _p99(slices: Sequence[Sequence[float]]) -> float:
    """Return the p99 of all responses, in milliseconds."""
    return percentile([second for each in slices for second in each], 0.99) * 1_000
