"""Restarts of the simulated market: it has the same past, and has gone on meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from flask import Flask

from app.domain.candle import Candle, Interval, beginning_of
from app.domain.triggers import SettledFrom
from app.models import MarketState, SymbolState
from app.monitor import Monitor
from app.services import services
from app.trades.service import open_trade
from tests.support.factories import create_users, order, trades_of
from tests.support.market import ManualClock
from tests.support.own_client import collection
from tests.support.quotes import quote

Start = Callable[..., Flask]
SYMBOLS = ("^NSEI", "RELIANCE.NS", "TCS.NS")


@pytest.fixture
def start(start_app: Start) -> Start:
    """Start a server with a simulated market."""
    return partial(start_app, MARKET_DATA="simulated")


def run(app: Flask, clock: ManualClock, passes: int, interval: float = 10) -> None:
    monitor = Monitor(app)
    for _ in range(passes):
        clock.advance(interval)
        monitor.run_once()


def prices(app: Flask) -> list[Decimal]:
    with app.app_context():
        quotes = [services().feed.latest(symbol) for symbol in SYMBOLS]
    return [quote.price for quote in quotes if quote]


def history(app: Flask, until: datetime) -> list[Sequence[Candle]]:
    """Return the last candles that were complete at `until`."""
    with app.app_context():
        ends = {interval: beginning_of(until, interval) for interval in Interval}
        return [
            services().feed.history(symbol, interval, end - 60 * interval.length, end)
            for symbol in SYMBOLS
            for interval, end in ends.items()
        ]


def history_since(app: Flask, since: datetime) -> Sequence[Candle]:
    with app.app_context():
        return services().feed.candles("^NSEI", since, services().feed.now())


@pytest.mark.parametrize("variables", [{}, {"MARKET_SEED": "42"}])
def test_a_restarted_market_has_the_same_past_and_has_gone_on_meanwhile(
    start: Start, clock: ManualClock, variables: dict[str, str]
) -> None:
    app = start(**variables)
    for number in range(3):
        run(app, clock, 5)
        before, until = prices(app), clock.now()
        past = history(app, until)
        assert prices(start(**variables)) == before
        clock.advance(3_600 * number)
        without_restart = prices(app)

        app = start(**variables)

        assert prices(app) == without_restart
        assert history(app, until) == past


def test_a_restarted_market_moves_as_without_the_restart(start: Start, clock: ManualClock) -> None:
    app = start(MARKET_SEED="42")
    run(app, clock, 5)
    again = start(MARKET_SEED="42")

    for _ in range(5):
        clock.advance(10)
        assert prices(again) == prices(app)


def test_a_market_continues_without_its_seed_and_at_another_interval(
    start: Start, clock: ManualClock
) -> None:
    app = start(MARKET_SEED="42")
    run(app, clock, 5)
    until = clock.now() - timedelta(minutes=1)
    before, past = prices(app), history(app, until)

    app = start(MONITOR_INTERVAL_SECONDS=2)

    assert prices(app) == before
    assert history(app, until) == past


def test_other_hours_are_another_market_from_the_last_prices(
    start: Start, clock: ManualClock
) -> None:
    run(start(), clock, 5)
    app = start(SIMULATED_HOURS="exchange")
    with app.app_context():
        kept = SymbolState.load_quotes()["^NSEI"].price

    assert prices(app)[0] == kept


def test_a_market_of_an_earlier_version_is_replaced_at_the_last_prices(
    start: Start, clock: ManualClock
) -> None:
    app = start()
    run(app, clock, 5)
    with app.app_context():
        kept = SymbolState.load_quotes()["^NSEI"].price
        stored = {"_id": "simulation", "market_seed": None, "seed": "old", "zero": 1.5}
        collection("market").replace_one(
            {"_id": "simulation"}, {**stored, "starts": [], "runs": [], "step_seconds": 10}
        )

    app = start()

    assert prices(app)[0] == kept
    assert prices(start()) == prices(app)


def test_stops_that_were_reached_while_no_server_ran_close_their_trades(
    start: Start, clock: ManualClock
) -> None:
    app = start(MARKET_SEED="42")
    run(app, clock, 1)
    clock.advance(1_000)
    lowest = min(each.low for each in history_since(app, clock.now() - timedelta(seconds=999)))
    clock.advance(-1_000)
    with app.app_context():
        create_users("alice")
        open_trade("alice", order(stop_loss=lowest))
    clock.advance(1_000)

    Monitor(start(MARKET_SEED="42")).settle_gap()

    with app.app_context():
        (trade,) = trades_of("alice")
    assert trade.exit is not None
    assert (trade.exit.price, trade.exit.settled_from) == (lowest, SettledFrom.GAP)


def test_another_seed_is_another_market_from_the_last_prices(
    start: Start, clock: ManualClock
) -> None:
    app = start(MARKET_SEED="42")
    run(app, clock, 5)
    with app.app_context():
        kept = SymbolState.load_quotes()["^NSEI"].price

    app = start(MARKET_SEED="43")

    assert prices(app)[0] == kept
    run(app, clock, 5)
    before = prices(app)
    assert prices(start(MARKET_SEED="43")) == before


def test_a_command_does_not_change_the_market(start: Start, clock: ManualClock) -> None:
    app = start()
    run(app, clock, 5)
    with app.app_context():
        before = MarketState.load_simulation()
    clock.advance(100)

    start(for_command=True)

    with app.app_context():
        assert MarketState.load_simulation() == before


def test_after_another_feed_the_market_begins_at_the_last_prices(
    start: Start, make_app: Callable[..., Flask], clock: ManualClock
) -> None:
    run(start(), clock, 5)
    with make_app().app_context():
        SymbolState.save_quotes([quote("31234.50", timestamp=clock.now())])

    assert prices(start())[0] == Decimal("31234.50")
