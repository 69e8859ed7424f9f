"""How long a user waits to be told that a tick closed their trade."""

from __future__ import annotations

import time
from decimal import Decimal

from benchmarks.measure import Goal, Result, percentile, result_of
from benchmarks.support.books import PRICE, same_levels, seed_trades, seed_users
from benchmarks.support.sockets import Audience, Seat, audience
from benchmarks.support.streamed import StreamedMarket, streamed_market
from benchmarks.support.world import world

SOCKETS = 1_000
CLOSURES = 100
ROUNDS = 6
# Below the market: the first round's stop-loss. Each round's is as far below the one before.
STEP = Decimal(50)
TIMEOUT_SECONDS = 30.0


def measure() -> list[Result]:
    """Measure from the tick to the `trade_update` at each of 100 users among 1,000 sockets."""
    with world() as here, streamed_market() as market:
        users = seed_users(here, SOCKETS)
        for number in range(1, ROUNDS + 2):
            stop = PRICE - number * STEP
            seed_trades(here, users[:CLOSURES], 1, levels=same_levels(stop, None))
        with here.server(**market.variables) as server, audience() as sockets:
            market.wait_until_followed()
            sockets.connect(
                server.port,
                [
                    Seat(user_id=user, token=token)
                    for user, token in zip(users, here.tokens(users), strict=True)
                ],
            )
            waits = []
            for number in range(1, ROUNDS + 2):
                waits.append(_wait(market, sockets, PRICE - number * STEP))
    # The first is the warm-up.
    slowest = [percentile(each, 0.99) * 1_000 for each in waits[1:]]
    middle = percentile([each for times in waits[1:] for each in times], 0.5) * 1_000
    return [
        result_of(
            "tick to trade_update, p99, 1,000 sockets",
            "-",
            Goal(at_most=250, unit="ms"),
            slowest,
            f"half of them within {middle:.0f} ms",
        )
    ]


def _wait(market: StreamedMarket, sockets: Audience, price: Decimal) -> list[float]:
    """Send a tick that closes 100 trades; return the seconds until each update came."""
    sockets.updates()
    sent_at = market.tick(price)
    came: list[tuple[int, float]] = []
    while len(came) < CLOSURES:
        if time.monotonic() > sent_at + TIMEOUT_SECONDS:
            raise TimeoutError(f"only {len(came)} of {CLOSURES} updates came")
        time.sleep(0.05)
        came += sockets.updates()
    if {seat for seat, _ in came} != set(range(CLOSURES)) or len(came) != CLOSURES:
        raise RuntimeError("not each user was told once")
    return [at - sent_at for _, at in came]
