"""Orders that the exchange would refuse: outside the day's band, or above the freeze quantity."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import services
from app.domain.quote import QuoteDetails
from app.market_data.instruments.registry import Instruments, load_instruments
from app.monitor import Monitor
from app.services import KEY
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.users import Trader

BANDS = QuoteDetails(lower_band=Decimal("1260.00"), upper_band=Decimal("1540.00"))
BUY_BELOW = {"order_type": "LIMIT", "limit_price": 1_390}
SELL_ABOVE = {"trade_type": "SELL", "order_type": "LIMIT", "limit_price": 1_410}


@pytest.fixture(autouse=True)
def banded(feed: ScriptedFeed) -> None:
    """Let RELIANCE be at 1,400, and have a band of ten per cent."""
    feed.set("RELIANCE.NS", 1_400, BANDS)


def body(**fields: Any) -> dict[str, Any]:
    return {"symbol": "RELIANCE", "trade_type": "BUY", "quantity": 1, **fields}


def modify(trader: Trader, trade: dict[str, Any], **changes: Any) -> TestResponse:
    return trader.patch(f"/trades/{trader.client_id}/{trade['trade_id']}", changes)


def test_no_order_outside_the_band_is_placed(alice: Trader) -> None:
    answer = alice.create_trade(**body(target_price=1_540.1))

    assert assert_error(answer, 400, "price_outside_band") == {
        "param": "target_price",
        "given": 1_540.1,
        "lower_band": 1_260.0,
        "upper_band": 1_540.0,
        "below": 1_540.0,
    }
    assert answer.get_json()["error"] == (
        "Target price 1540.10 is outside the band of RELIANCE.NS today, which is at least 1260.00 "
        "and at most 1540.00; nearest: 1540.00."
    )
    assert alice.trades() == []
    inside = alice.create_trade(**body(stop_loss=1_260, target_price=1_540))
    assert inside.status_code == 201


def test_a_preview_lists_each_price_outside_the_band(alice: Trader) -> None:
    order = body(order_type="LIMIT", limit_price=1_200, stop_loss=1_100, target_price=1_600)

    problems = alice.post("/trades/preview", order).get_json()["problems"]

    assert [problem["code"] for problem in problems] == ["price_outside_band"] * 3
    params = [problem["details"]["param"] for problem in problems]
    assert params == ["limit_price", "stop_loss", "target_price"]


def test_an_order_of_a_pair_outside_the_band_refuses_the_pair(alice: Trader) -> None:
    orders = [body(**BUY_BELOW), body(**SELL_ABOVE, stop_loss=1_600)]

    answer = alice.post("/trades/oco", {"orders": orders})

    assert assert_error(answer, 400, "price_outside_band")["order"] == 2
    assert alice.trades() == []


def test_a_modification_is_compared_with_the_band_of_the_day_in_what_it_changes(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(**body(stop_loss=1_270)).get_json()
    waiting = alice.create_trade(**body(**BUY_BELOW)).get_json()
    assert_error(modify(alice, trade, target_price=1_600), 400, "price_outside_band")
    assert_error(modify(alice, waiting, limit_price=1_200), 400, "price_outside_band")

    # The next day has another band: what is outside of it stays.
    higher = replace(BANDS, lower_band=Decimal(1_350), upper_band=Decimal(1_650))
    feed.tick("RELIANCE.NS", 1_500, higher)
    monitor.run_once()
    modified = modify(alice, trade, target_price=1_600).get_json()
    assert (modified["stop_loss"], modified["target_price"]) == (1_270.0, 1_600.0)
    assert_error(modify(alice, trade, stop_loss=1_271), 400, "price_outside_band")


def test_without_a_band_every_price_is_accepted(alice: Trader, feed: ScriptedFeed) -> None:
    feed.set("TCS.NS", 3_000)

    assert alice.create_trade(symbol="TCS", stop_loss=1, target_price=90_000).status_code == 201


@pytest.fixture
def frozen(app: Flask) -> None:
    """Let one order of RELIANCE have at most 20 units."""
    listed = [
        replace(each, freeze_quantity=20) if each.symbol == "RELIANCE.NS" else each
        for each in load_instruments()
    ]
    services.init_app(app, replace(app.extensions[KEY], instruments=Instruments(listed)))


@pytest.mark.usefixtures("frozen")
def test_no_order_is_larger_than_the_freeze_quantity(alice: Trader, clock: ManualClock) -> None:
    answer = alice.create_trade(**body(quantity=21))

    assert assert_error(answer, 400, "freeze_quantity") == {
        "param": "quantity",
        "given": 21,
        "freeze_quantity": 20,
        "below": 20,
    }
    preview = alice.post("/trades/preview", body(quantity=21)).get_json()
    assert preview["problems"][0]["code"] == "freeze_quantity"
    orders = [body(**BUY_BELOW, quantity=21), body(**SELL_ABOVE)]
    pair = alice.post("/trades/oco", {"orders": orders})
    assert assert_error(pair, 400, "freeze_quantity")["order"] == 1
    waiting = alice.create_trade(**body(**BUY_BELOW, quantity=20)).get_json()
    assert_error(modify(alice, waiting, quantity=21), 400, "freeze_quantity")
    shown = alice.client.get("/market/symbols?q=reliance.ns").get_json()["symbols"]
    assert shown[0]["freeze_quantity"] == 20
