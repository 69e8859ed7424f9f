"""POST /market/scenario: a scenario of the simulated market from now on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from flask import Flask

from app.services import services
from tests.support.market import ManualClock
from tests.support.responses import assert_error
from tests.support.users import Trader, sign_up

Start = Callable[..., Flask]


@pytest.fixture
def start(start_app: Start) -> Start:
    """Start a server with the simulated market."""
    return partial(start_app, MARKET_DATA="simulated", MARKET_SEED="7")


def nifty(app: Flask) -> float:
    with app.app_context():
        quote = services().feed.latest("^NSEI")
    assert quote is not None
    return float(quote.price)


def test_a_scenario_begins_at_once_and_survives_a_restart(start: Start, clock: ManualClock) -> None:
    app = start()
    trader = sign_up(app.test_client())
    before = nifty(app)

    response = trader.post("/market/scenario", {"scenario": "gap_down"})

    assert response.status_code == 201
    body = response.get_json()
    assert body["scenario"] == "gap_down"
    assert body["starts_at"] == "2026-11-23T04:00:01.000Z"
    assert body["ends_at"] == "2026-11-23T04:30:01.000Z"
    assert nifty(app) == before
    clock.advance(1)
    assert nifty(app) == pytest.approx(before * 0.96, rel=0.003)
    assert nifty(start()) == nifty(app)


def test_one_scenario_at_a_time(start: Start, clock: ManualClock) -> None:
    trader = sign_up(start().test_client())
    trader.post("/market/scenario", {"scenario": "halt"})

    response = trader.post("/market/scenario", {"scenario": "rally"})

    assert_error(response, 409, "scenario_running")
    clock.advance(901)
    assert trader.post("/market/scenario", {"scenario": "rally"}).status_code == 201


def test_an_unknown_scenario_is_refused(start: Start) -> None:
    trader = sign_up(start().test_client())

    response = trader.post("/market/scenario", {"scenario": "boom"})

    assert_error(response, 400, "validation_error")


def test_another_market_has_no_scenarios(alice: Trader) -> None:
    response = alice.post("/market/scenario", {"scenario": "crash"})

    assert_error(response, 409, "not_simulated")


def test_a_visitor_starts_no_scenario(start: Start) -> None:
    response = start().test_client().post("/market/scenario", json={"scenario": "crash"})

    assert_error(response, 401, "token_missing")


def test_a_server_may_start_with_a_scenario(start: Start, clock: ManualClock) -> None:
    before = nifty(start())
    app = start(SIMULATED_SCENARIO="gap_down")
    clock.advance(1)

    assert nifty(app) == pytest.approx(before * 0.96, rel=0.003)
    # Not twice while it lasts.
    again = start(SIMULATED_SCENARIO="gap_down")
    clock.advance(60)
    assert nifty(again) == nifty(app)
