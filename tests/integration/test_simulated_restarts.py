"""Restarts of the simulated market: it continues at its last prices with the same past."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.domain.candle import Candle, Interval
from app.models import MarketState, SymbolState
from app.monitor import Monitor
from app.services import services
from config import Settings
from tests.support.market import ManualClock
from tests.support.quotes import quote

Start = Callable[..., Flask]
SYMBOLS = ("^NSEI", "RELIANCE.NS", "TCS.NS")


@pytest.fixture
def start(
    make_app: Callable[..., Flask],
    make_settings: Callable[..., Settings],
    mongo_uri: str,
    clock: ManualClock,
) -> Start:
    """Start a server with a simulated market. `make_app` clears up after it."""

    def start(for_command: bool = False, **variables: Any) -> Flask:
        settings = make_settings(MARKET_DATA="simulated", **variables)
        return create_app(settings, mongo_uri=mongo_uri, clock=clock, for_command=for_command)

    return start


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
    with app.app_context():
        return [
            services().feed.history(symbol, interval, until - 300 * interval.length, until)
            for symbol in SYMBOLS
            for interval in Interval
        ]


@pytest.mark.parametrize("variables", [{}, {"MARKET_SEED": "42"}])
def test_a_restarted_market_continues_at_its_last_prices_with_its_past(
    start: Start, clock: ManualClock, variables: dict[str, str]
) -> None:
    app = start(**variables)
    first = prices(app)
    for number in range(4):
        run(app, clock, 20)
        before, until = prices(app), clock.now()
        # A candle is returned only after its minute.
        past = history(app, until - timedelta(minutes=1))
        clock.advance(3_600 * number)

        app = start(**variables)

        assert prices(app) == before
        assert history(app, until - timedelta(minutes=1)) == past
    assert before != first


def test_a_restarted_market_moves_as_without_the_restart(start: Start, clock: ManualClock) -> None:
    app = start(MARKET_SEED="42")
    run(app, clock, 5)
    again = start(MARKET_SEED="42")

    for _ in range(5):
        clock.advance(10)
        assert prices(again) == prices(app)


def test_a_market_continues_without_its_seed_and_with_other_steps(
    start: Start, clock: ManualClock
) -> None:
    app = start(MARKET_SEED="42")
    run(app, clock, 5)
    before = prices(app)

    app = start(MONITOR_INTERVAL_SECONDS=2)
    assert prices(app) == before
    run(app, clock, 50, 2)
    before, past = prices(app), history(app, clock.now() - timedelta(minutes=1))
    until = clock.now() - timedelta(minutes=1)

    app = start(MONITOR_INTERVAL_SECONDS=10)
    assert prices(app) == before
    assert history(app, until) == past


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
