"""A pass over 500 symbols for 1,000 sockets: one message for each socket, or one for each price."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from app.market_data.instruments.registry import DEFAULT_INDICES
from benchmarks.measure import Goal, Result, ratio_of
from benchmarks.support.books import seed_users
from benchmarks.support.nifty500 import SYMBOLS, list_shares
from benchmarks.support.sockets import Audience, Seat, audience, cpu_seconds
from benchmarks.support.world import world

SOCKETS = 1_000
FOLLOWED = 50
# Each socket gets the indices as well, which are two of the 500.
FOLLOWABLE = SYMBOLS[: len(SYMBOLS) - len(DEFAULT_INDICES)]
PRICES = SOCKETS * (FOLLOWED + len(DEFAULT_INDICES))
PASS_SECONDS = 5
PASSES = 2
ROUNDS = 3
# Long enough for every round, should this machine be slow.
RECORDED_SECONDS = 900
TICK_SECONDS = 2.5
# Within a pass, prices do not come so far apart; between passes they come seconds apart.
LULL_SECONDS = 0.5
TIMEOUT_SECONDS = 120.0


def measure() -> list[Result]:
    """Measure the server's processor time for a pass, by `live_prices` and by `live_price`.

    The same sockets take turns to get the one and the other.
    """
    with world() as here:
        list_shares(here)
        tokens = here.tokens(seed_users(here, SOCKETS))
        with (
            here.server(ticks=_moving(), MONITOR_INTERVAL_SECONDS=PASS_SECONDS) as server,
            audience() as sockets,
        ):
            assert server.process is not None
            return [_compare(server.process.pid, server.port, sockets, tokens)]


def _compare(pid: int, port: int, sockets: Audience, tokens: Sequence[str]) -> Result:
    # Each follows other shares: the most messages that differ.
    choices = [random.Random(number).sample(FOLLOWABLE, FOLLOWED) for number in range(SOCKETS)]
    sockets.connect(
        port,
        [Seat(tuple(shares), token=token) for shares, token in zip(choices, tokens, strict=True)],
    )
    return ratio_of(
        f"CPU of a pass over {len(SYMBOLS)} symbols, {SOCKETS:,} sockets with {FOLLOWED} each",
        f"by live_price: {PRICES // SOCKETS} messages for each socket in place of one",
        Goal(at_most=0.5),
        ours=lambda: _milliseconds_a_pass(pid, sockets, batch=True),
        peer=lambda: _milliseconds_a_pass(pid, sockets, batch=False),
        unit="ms",
        rounds=ROUNDS,
    )


def _moving() -> Iterator[tuple[float, str, float]]:
    """Have each symbol at another price in each pass of the monitor."""
    for number in range(int(RECORDED_SECONDS / TICK_SECONDS)):
        for symbol in (*DEFAULT_INDICES, *FOLLOWABLE):
            yield number * TICK_SECONDS, symbol, 25_000 + number % 100


def _milliseconds_a_pass(pid: int, sockets: Audience, *, batch: bool) -> float:
    """Return what a pass and its deliveries take of the processor."""
    for seat in range(SOCKETS):
        sockets.send(seat, "subscribe", {"symbols": [], "batch": batch})
    prices = _after_a_pass(sockets)
    messages = sockets.price_messages()
    used = cpu_seconds(pid)
    _wait_for(sockets, prices + PASSES * PRICES)
    cost = (cpu_seconds(pid) - used) / PASSES * 1_000
    expected = PASSES * (SOCKETS if batch else PRICES)
    if (sent := sockets.price_messages() - messages) != expected:
        raise RuntimeError(f"{sent} messages came in {PASSES} passes, not {expected}")
    return cost


def _after_a_pass(sockets: Audience) -> int:
    """Return how many prices came so far, between two passes."""
    _wait_for(sockets, sockets.prices() + PRICES)
    before, prices = 0, sockets.prices()
    while prices != before:
        time.sleep(LULL_SECONDS)
        before, prices = prices, sockets.prices()
    return prices


def _wait_for(sockets: Audience, prices: int) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while sockets.prices() < prices:
        if time.monotonic() > deadline:
            raise TimeoutError("the prices of a pass did not come")
        time.sleep(0.02)
