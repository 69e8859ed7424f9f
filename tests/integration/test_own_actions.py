"""The corporate actions that the simulated market makes of its own, with the database."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from flask import Flask

from app import create_app
from app.domain.corporate_actions import ActionKind, CorporateAction
from app.domain.instrument import SUFFIXES
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.instruments.registry import load_instruments
from app.models.stored_action import SIMULATED, StoredAction
from app.monitor import Monitor
from app.monitor.own_actions import announce_own_actions
from app.portfolio.reconciliation import find_differences
from app.services import services
from app.trades.service import open_trade
from config import Settings
from tests.support.exchange_time import advance_to
from tests.support.factories import create_users, order, trades_of
from tests.support.market import ManualClock

SEED = "7"
QUANTITY = 10
MAX_DAYS = 60
# Longer than a process takes to learn of an action.
REFRESH = 6


@pytest.fixture
def start(
    app: Flask, make_settings: Callable[..., Settings], mongo_uri: str, clock: ManualClock
) -> Callable[..., Flask]:
    """Start a process, by default with the simulated market; `app` clears up after it."""

    def start(**variables: str) -> Flask:
        settings = make_settings(
            **{"MARKET_DATA": "simulated", "MARKET_SEED": SEED, **variables},
        )
        return create_app(settings, mongo_uri=mongo_uri, clock=clock)

    return start


def announce(process: Flask) -> list[StoredAction]:
    """Let a process announce what is due, and return what is stored."""
    with process.app_context():
        announce_own_actions(services())
        return StoredAction.find_all()


def announced(process: Flask, clock: ManualClock, kinds: set[ActionKind]) -> CorporateAction:
    """Return the first action of one of these kinds that a process announces."""
    for _ in range(MAX_DAYS):
        for each in announce(process):
            if each.action.kind in kinds:
                return each.action
        clock.advance(86_400)
        with process.app_context():
            services().actions.refresh()
    raise AssertionError(f"nothing was announced in {MAX_DAYS} days")


def test_an_announcement_explains_itself_in_one_line(
    start: Callable[..., Flask], clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    action = announced(start(), clock, {ActionKind.DIVIDEND})

    lines = [each for each in caplog.messages if "simulated market" in each]
    ticker = action.symbol.removesuffix(".BO").removesuffix(".NS")
    assert action.amount is not None
    dividend = f"{ticker} dividend of ₹{action.amount:.2f} on {action.ex_date}"
    assert lines[-1].startswith("the simulated market has made up corporate actions")
    assert lines[-1].count(dividend) == 1


def test_two_workers_announce_the_same_and_each_action_once(
    start: Callable[..., Flask], clock: ManualClock
) -> None:
    first, second = start(), start()
    announced(first, clock, set(ActionKind))

    stored = announce(first)

    assert announce(second) == stored
    assert {each.source for each in stored} == {SIMULATED}
    assert all(each.action.opens_at - clock.now() > timedelta(days=2) for each in stored)
    clock.advance(REFRESH)
    with second.app_context():
        known = services().actions
        known.refresh()
        assert {each.action for each in stored} == {
            action for symbol in known.symbols for action in known.of(symbol)
        }
        version = StoredAction.find_version()
    # Nothing is left to announce, so nothing is read again.
    assert announce(second) == stored
    with second.app_context():
        assert StoredAction.find_version() == version


def test_the_route_and_the_source_tell_that_the_market_has_announced_it(
    start: Callable[..., Flask], clock: ManualClock
) -> None:
    process = start()
    action = announced(process, clock, set(ActionKind))

    answer = process.test_client().get(f"/market/corporate-actions?symbol={action.symbol}")

    (shown,) = answer.get_json()["corporate_actions"]
    assert (shown["source"], shown["ex_date"]) == (SIMULATED, action.ex_date.isoformat())


def test_real_prices_do_not_follow_what_the_simulated_market_has_announced(
    start: Callable[..., Flask], clock: ManualClock
) -> None:
    announced(start(), clock, set(ActionKind))

    real = start(MARKET_DATA="yahoo")

    with real.app_context():
        assert services().actions.symbols == set()
    assert announce(real) == []


@pytest.mark.parametrize(
    "kinds",
    [{ActionKind.DIVIDEND}, {ActionKind.BONUS, ActionKind.SPLIT}],
    ids=["dividend", "division"],
)
def test_a_trade_that_is_held_over_an_own_action_neither_gains_nor_loses_by_it(
    start: Callable[..., Flask], clock: ManualClock, kinds: set[ActionKind]
) -> None:
    process = start()
    action = announced(process, clock, kinds)
    symbol = action.symbol.replace(SUFFIXES["BSE"], SUFFIXES["NSE"])
    undivided = SimulatedFeed(load_instruments(), clock, seed=SEED)
    monitor = Monitor(process)
    advance_to(clock, action.opens_at - timedelta(minutes=1))
    with process.app_context():
        create_users("alice", margin=Decimal(1_000_000))
        monitor.run_once()
        open_trade("alice", order(symbol, quantity=QUANTITY))
        (before,) = trades_of("alice")
        assert before.bracket is not None
        monitor.run_once()
    advance_to(clock, action.opens_at + timedelta(seconds=10))

    monitor.run_once()

    with process.app_context():
        (trade,) = trades_of("alice")
        assert [each.kind for each in trade.adjustments] == [action.kind]
        assert trade.bracket is not None
        assert trade.bracket.open_quantity == QUANTITY * action.factor
        quote, expected = services().feed.latest(symbol), undivided.latest(symbol)
        assert quote is not None
        assert expected is not None
        pnl = trade.realized_pnl + trade.bracket.pnl_at(quote.price)
        # A tick, and a dividend's part of what the price has moved since the close.
        rounding = Decimal("0.05") * trade.bracket.open_quantity
        moved = abs(expected.price - before.bracket.entry_price) * QUANTITY / 50
        assert abs(pnl - before.bracket.pnl_at(expected.price)) <= rounding + moved
        assert quote.price < expected.price
        assert find_differences("alice") == []
