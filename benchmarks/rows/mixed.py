"""Trading while 500 shares tick once a second; the books are compared with the audit afterwards."""

from __future__ import annotations

from contextlib import nullcontext

from benchmarks.measure import Goal, Result, ratio_of
from benchmarks.support.books import MARGIN
from benchmarks.support.load import Call, apart, drive
from benchmarks.support.nifty500 import SYMBOLS, exchange, list_shares
from benchmarks.support.sockets import Seat, audience
from benchmarks.support.world import World, world
from config import DATABASE_NAME
from tests.support.audit import Auditor, Snapshot
from tests.support.users import Trader, sign_up

CLIENTS = 16
ORDERS = 3
SECONDS = 5.0
ROUNDS = 5
# The sockets that follow the shares.
SYMBOLS_OF_A_SOCKET = 100
# Shares rise and fall by a tick of 5 paise, which reaches every trailing stop.
OFFSET = 0.05
WIGGLES = 2


def measure() -> list[Result]:
    """Measure the requests a second of 16 clients that open and exit trades, by ticks or in a lull.

    Raises RuntimeError if the audit of the database finds a difference, or if no tick closed a
    trade.
    """
    with world() as here, exchange() as market, apart() as process:
        list_shares(here)
        # Not copies: the audit compares what was opened with the movements of money.
        traders = [sign_up(here.app.test_client()) for _ in range(CLIENTS)]
        for each in traders:
            each.open_portfolio(float(MARGIN))
        market.wiggles = WIGGLES
        calls = [_turn(*each) for each in zip(traders, SYMBOLS, strict=False)]
        with here.server(**market.variables) as server, audience() as sockets:
            sockets.connect(server.port, _followers(traders[0].token))
            market.wait_until_all_followed()

            def rate(*, ticking: bool) -> float:
                with market.ticking() if ticking else nullcontext():
                    driven = process.submit(drive, server.port, calls, SECONDS)
                    return driven.result().require(200, 201).rate

            result = ratio_of(
                f"trades opened and exited by {CLIENTS} clients, a tick a second in each of "
                f"{len(SYMBOLS)} shares",
                "the same without ticks",
                Goal(at_least=0.5),
                ours=lambda: rate(ticking=True),
                peer=lambda: rate(ticking=False),
                unit="requests/s",
                rounds=ROUNDS,
            )
        _audit(here)
        return [result]


def _turn(trader: Trader, symbol: str) -> tuple[Call, ...]:
    """Return the requests of a client: some orders, then an exit from what is still open."""
    order = {"symbol": symbol, "trade_type": "BUY", "quantity": 1, "trailing_offset": OFFSET}
    opening = Call("POST", "/trades/create", trader.token, order)
    exiting = Call("POST", f"/trades/exit-all/{trader.client_id}", trader.token, {})
    return (*[opening] * ORDERS, exiting)


def _followers(token: str) -> list[Seat]:
    """Return seats that follow every share, so that its ticks are received."""
    return [
        Seat(SYMBOLS[first : first + SYMBOLS_OF_A_SOCKET], token=token)
        for first in range(0, len(SYMBOLS), SYMBOLS_OF_A_SOCKET)
    ]


def _audit(here: World) -> None:
    if problems := Auditor(Snapshot.take(here.uri, DATABASE_NAME)).run():
        raise RuntimeError(f"{len(problems)} differences, the first: {problems[:3]}")
    if not here.db.trades.find_one({"exit_reason": "trailing_stop"}):
        raise RuntimeError("no tick closed a trade")
