"""The time from a tick to the `trade_update` of the trades it closes, against the bare writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal

from benchmarks.measure import Goal, Result, ratio_of
from benchmarks.support.bare import close_trades
from benchmarks.support.bare_socketio import bare_server
from benchmarks.support.books import PRICE, same_levels, seed_trades, seed_users
from benchmarks.support.closings import ClosingPattern
from benchmarks.support.sockets import Audience, Seat, audience
from benchmarks.support.streamed import StreamedMarket, streamed_market
from benchmarks.support.world import World, world

SOCKETS = 1_000
CLOSURES = 100
ROUNDS = 6
# Below the market: the first round's stop-loss. Each round's is as far below the one before.
STEP = Decimal(50)
# Of the trades of the bare side: no tick reaches these.
FAR = Decimal(5_000)
TIMEOUT_SECONDS = 30.0


def measure() -> list[Result]:
    """Measure from the tick to the last of 100 `trade_update` of 100 users among 1,000 sockets."""
    with (
        world() as here,
        streamed_market() as market,
        bare_server() as (_, bare_port),
        audience() as sockets,
        audience() as bare_sockets,
    ):
        users = seed_users(here, SOCKETS)
        prices = [PRICE - number * STEP for number in range(1, ROUNDS + 3)]
        for price in prices:
            _add_trades(here, users[:CLOSURES], price)
            # Of other users: events that the server did not write must not confuse its sockets.
            _add_trades(here, users[CLOSURES : 2 * CLOSURES], price - FAR)
        seats = [
            Seat(user_id=user, token=token)
            for user, token in zip(users, here.tokens(users), strict=True)
        ]
        with here.server(**market.variables) as server:
            market.wait_until_followed()
            sockets.connect(server.port, seats)
            bare_sockets.connect(bare_port, seats[:CLOSURES])
            ticks, stops = iter(prices), iter([price - FAR for price in prices])
            # The application's own closures are the pattern of the bare ones.
            _wait(market, sockets, next(ticks))
            pattern = ClosingPattern(here)
            return [
                ratio_of(
                    f"tick to trade_update with {CLOSURES} closures, {SOCKETS:,} sockets",
                    "bare bulk writes of the same closures, and one emit",
                    Goal(at_most=1.5),
                    ours=lambda: _wait(market, sockets, next(ticks)),
                    peer=lambda: _write_and_emit(here, pattern, next(stops), bare_sockets),
                    unit="ms",
                    rounds=ROUNDS,
                )
            ]


def _add_trades(here: World, users: Sequence[str], stop_loss: Decimal) -> None:
    seed_trades(here, users, 1, levels=same_levels(stop_loss, None))


def _wait(market: StreamedMarket, sockets: Audience, price: Decimal) -> float:
    """Send a tick that closes 100 trades; return the milliseconds until the last update came."""
    sockets.updates()
    sent_at = market.tick(price)
    return _last_update(sockets, sent_at)


def _write_and_emit(
    here: World, pattern: ClosingPattern, stop_loss: Decimal, sockets: Audience
) -> float:
    """Write 100 closures and emit once; return the milliseconds until the last socket has it."""
    sockets.updates()
    closings = pattern.closings({"stop_loss": stop_loss})
    began = time.monotonic()
    close_trades(here.db, closings)
    sockets.send(0, "announce")
    return _last_update(sockets, began)


def _last_update(sockets: Audience, since: float) -> float:
    came: list[tuple[int, float]] = []
    while len(came) < CLOSURES:
        if time.monotonic() > since + TIMEOUT_SECONDS:
            raise TimeoutError(f"only {len(came)} of {CLOSURES} updates came")
        time.sleep(0.05)
        came += sockets.updates()
    if {seat for seat, _ in came} != set(range(CLOSURES)) or len(came) != CLOSURES:
        raise RuntimeError("not each user received exactly one update")
    return (max(at for _, at in came) - since) * 1_000
