"""The movers of the shares that the server watches."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain.quote import QuoteDetails
from app.monitor import Monitor
from app.services import KEY
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.quotes import DETAILS
from tests.support.responses import assert_error

SHARES = {"TCS.NS": (105, 10), "INFY.NS": (98, 900), "WIPRO.NS": (101, 20)}


@pytest.fixture
def watched(app: Flask, feed: ScriptedFeed, monitor: Monitor) -> None:
    """Three shares that sockets follow, and a pass that has polled them."""
    assert app.extensions[KEY].polled_symbols.try_follow(SHARES, budget=3)
    for symbol, (price, volume) in SHARES.items():
        feed.tick(symbol, price, replace(DETAILS, volume=volume))
    feed.tick("^NSEI", 25_500, QuoteDetails(previous_close=Decimal(25_000)))
    monitor.run_once()


def test_a_server_that_watches_nothing_has_no_movers(client: FlaskClient) -> None:
    answer = client.get("/market/movers")

    assert answer.status_code == 200
    nothing = {"gainers": [], "losers": [], "most_active": [], "watched": 0}
    assert answer.get_json() == nothing


@pytest.mark.usefixtures("watched")
def test_movers_are_shares_with_names_sectors_and_figures(client: FlaskClient) -> None:
    body = client.get("/market/movers").get_json()

    assert body["watched"] == 3
    assert [each["symbol"] for each in body["gainers"]] == ["TCS.NS", "WIPRO.NS"]
    assert [each["symbol"] for each in body["losers"]] == ["INFY.NS"]
    top = body["gainers"][0]
    assert top.pop("timestamp")
    assert top == {
        "symbol": "TCS.NS",
        "name": "Tata Consultancy Services",
        "sector": "Information Technology",
        "price": 105.0,
        "source": "mock",
        "change": 5.0,
        "change_pct": 5.0,
        "volume": 10,
        "turnover": 1_050.0,
    }


@pytest.mark.usefixtures("watched")
def test_limit_and_measure_are_chosen(client: FlaskClient, feed: ScriptedFeed) -> None:
    body = client.get("/market/movers?limit=1&by=Volume").get_json()

    assert [len(body[kind]) for kind in ("gainers", "losers", "most_active")] == [1, 1, 1]
    assert body["most_active"][0]["symbol"] == "INFY.NS"
    assert body["watched"] == 3


@pytest.mark.usefixtures("watched")
def test_movers_wait_for_no_source_and_follow_the_polls(
    client: FlaskClient, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    assert client.get("/market/movers").get_json()["gainers"][0]["symbol"] == "TCS.NS"
    clock.advance(60)
    feed.tick("WIPRO.NS", 109, DETAILS)
    monitor.run_once()

    assert client.get("/market/movers").get_json()["gainers"][0]["symbol"] == "WIPRO.NS"


@pytest.mark.parametrize("query", ["limit=0", "limit=51", "by=price", "symbol=TCS"])
def test_an_invalid_parameter_is_refused_by_name(client: FlaskClient, query: str) -> None:
    details = assert_error(client.get(f"/market/movers?{query}"), 400, "validation_error")

    assert set(details) == {query.partition("=")[0]}
