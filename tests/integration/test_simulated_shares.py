"""The simulated market of several workers: one market, whichever of them has a symbol."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from flask import Flask

from app import create_app
from app.domain.triggers import SettledFrom
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.instruments.registry import load_instruments
from app.models import MarketState
from app.monitor import Monitor
from app.services import services
from app.trades.service import open_trade
from config import Settings
from tests.support.factories import create_users, order, trades_of
from tests.support.market import ManualClock
from tests.support.own_client import collection

SYMBOLS = ("^NSEI", "^BSESN", "RELIANCE.NS", "TCS.NS")
STEP = 10
SEED = "7"


@pytest.fixture
def start(
    app: Flask, make_settings: Callable[..., Settings], mongo_uri: str, clock: ManualClock
) -> Callable[[], Flask]:
    """Start a process with the simulated market; `app` clears up after it."""

    def start() -> Flask:
        settings = make_settings(MARKET_DATA="simulated", MARKET_SEED=SEED)
        return create_app(settings, mongo_uri=mongo_uri, clock=clock)

    return start


def prices(app: Flask) -> list[Decimal]:
    with app.app_context():
        quotes = [services().feed.latest(symbol) for symbol in SYMBOLS]
    return [quote.price for quote in quotes if quote]


def test_a_process_that_starts_beside_a_worker_has_the_same_prices(
    start: Callable[[], Flask], clock: ManualClock
) -> None:
    first = start()
    worker = Monitor(first)
    for _ in range(3):
        worker.run_if_leased()
        clock.advance(STEP)
    worker.run_if_leased()
    stored = MarketState.load_simulation()

    second = start()

    for _ in range(3):
        assert len(set(prices(first))) == len(SYMBOLS)
        assert prices(second) == prices(first)
        clock.advance(STEP)
    # A later restart continues the market of the worker.
    assert MarketState.load_simulation() == stored


def test_processes_that_start_together_have_the_same_prices(
    start: Callable[[], Flask], clock: ManualClock
) -> None:
    worker = Monitor(start())
    for _ in range(3):
        worker.run_once()
        clock.advance(STEP)

    first = start()
    clock.advance(STEP / 2)
    second = start()

    for _ in range(3):
        assert prices(second) == prices(first)
        clock.advance(STEP)


def coming_prices(symbol: str, count: int) -> list[Decimal]:
    """Return the prices of a symbol in the first seconds of the market."""
    clock = ManualClock()
    feed = SimulatedFeed(load_instruments(), clock, seed=SEED)
    found = []
    for _ in range(count):
        quote = feed.latest(symbol)
        assert quote is not None
        found.append(quote.price)
        clock.advance(1)
    return found


def test_a_worker_that_takes_over_settles_the_seconds_that_nobody_polled(
    start: Callable[[], Flask], clock: ManualClock
) -> None:
    coming = coming_prices("^NSEI", 1_000)

    def lowest(poll: int) -> Decimal:
        return min(coming[poll * STEP + 1 : (poll + 3) * STEP])

    # The first poll that is followed by a lower price than all before it, and a higher one.
    last = next(
        each
        for each in range(2, 97)
        if lowest(each) < min(*coming[: each * STEP + 1], coming[(each + 3) * STEP])
    )
    first = start()
    dying = Monitor(first)
    dying.run_if_leased()
    second = start()
    with first.app_context():
        create_users("alice")
        open_trade("alice", order(stop_loss=lowest(last)))
    for _ in range(last):
        clock.advance(STEP)
        dying.run_if_leased()
    # Nobody polls the next two times.
    clock.advance(3 * STEP)
    collection("leases").update_many({}, {"$set": {"until": 0}})

    Monitor(second).run_if_leased()

    with second.app_context():
        (trade,) = trades_of("alice")
    assert trade.exit is not None
    assert (trade.exit.price, trade.exit.settled_from) == (lowest(last), SettledFrom.GAP)
