"""What a price costs on its way to a socket, against python-socketio's bare emit."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.measure import Goal, Result, result_of
from benchmarks.support.bare_socketio import bare_server
from benchmarks.support.sockets import Audience, Seat, audience, cpu_seconds
from benchmarks.support.world import world

SOCKETS = 1_000
SYMBOLS = (
    "^NSEI",
    "^BSESN",
    "RELIANCE.NS",
    "TCS.NS",
    "INFY.NS",
    "HDFCBANK.NS",
    "ICICIBANK.NS",
    "SBIN.NS",
    "ITC.NS",
    "LT.NS",
)
# A pass a second.
PASSES = 3
ROUNDS = 6
# Long enough for every round, should this machine be slow.
RECORDED_SECONDS = 300
TICK_SECONDS = 0.5
# Within a pass, deliveries are not so long apart; between passes they are a second.
LULL_SECONDS = 0.2


def measure() -> list[Result]:
    """Measure the server's processor time per `live_price` that reaches one of 1,000 sockets."""
    seats = [Seat(SYMBOLS)] * SOCKETS
    with (
        world() as here,
        bare_server(SYMBOLS) as (bare_pid, bare_port),
        here.server(ticks=_moving(), MONITOR_INTERVAL_SECONDS=1) as server,
        audience() as ours,
        audience() as theirs,
    ):
        assert server.process is not None
        pid = server.process.pid
        ours.connect(server.port, seats)
        theirs.connect(bare_port, seats)
        # Both at once, so that what else the machine does meets both alike.
        with ThreadPoolExecutor(2) as pair:
            costs = [
                list(pair.map(_microseconds_each, (pid, bare_pid), (ours, theirs)))
                for _ in range(ROUNDS + 1)
            ]
    # The first is the warm-up.
    mine, bare = zip(*costs[1:], strict=True)
    return [
        result_of(
            "CPU per live_price, 1,000 sockets",
            "bare python-socketio emit",
            Goal(at_most=1.15),
            [cost / floor for cost, floor in zip(mine, bare, strict=True)],
            f"{statistics.median(mine):.4g} : {statistics.median(bare):.4g} us",
        )
    ]


def _moving() -> Iterator[tuple[float, str, float]]:
    """Have each symbol at another price in each pass of the monitor."""
    for number in range(int(RECORDED_SECONDS / TICK_SECONDS)):
        for symbol in SYMBOLS:
            yield number * TICK_SECONDS, symbol, 25_000 + number % 100


def _microseconds_each(pid: int, sockets: Audience) -> float:
    """Return what a delivery took of the processor, over whole passes and the time between."""
    prices = _after_a_pass(sockets)
    used = cpu_seconds(pid)
    for _ in range(PASSES):
        later_prices = _after_a_pass(sockets)
    return (cpu_seconds(pid) - used) / (later_prices - prices) * 1e6


def _after_a_pass(sockets: Audience) -> int:
    """Return how many prices came so far, as soon as the next pass is delivered."""
    before = sockets.prices()
    while (prices := sockets.prices()) == before:
        time.sleep(0.01)
    while True:
        time.sleep(LULL_SECONDS)
        before, prices = prices, sockets.prices()
        if before == prices:
            return prices
