"""What is set at a price of before a split, while prices of after it arrive."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from flask import Flask

from app.monitor import Monitor
from app.portfolio.reconciliation import find_differences
from tests.support.corporate_actions import OPEN, SHARE, At, announce
from tests.support.exchange_time import advance_to, ist
from tests.support.faults import before_command
from tests.support.market import ManualClock
from tests.support.responses import assert_error
from tests.support.users import Trader

STOP = {"symbol": SHARE, "quantity": 100, "stop_loss": 1_300}
LIMIT = {"symbol": SHARE, "trade_type": "SELL", "quantity": 10, "order_type": "LIMIT"}
BREAKOUT = {"symbol": SHARE, "trade_type": "BUY", "quantity": 10, "order_type": "STOP"}
PAIR = [{**LIMIT, "limit_price": 1_500}, {**BREAKOUT, "stop_price": 1_450}]
Request = Callable[[Trader], Any]


@pytest.fixture(autouse=True)
def bonus(context: Flask) -> None:
    """A bonus of one unit for each, from OPEN on."""
    announce()


@pytest.fixture
def meanwhile(at: At) -> Callable[[str], Any]:
    """Let the share open at half its price before the first insert of a collection."""

    def open() -> None:
        # Its reads belong to no transaction of the request.
        thread = Thread(target=at, args=(OPEN, 700))
        thread.start()
        thread.join()

    return lambda collection: before_command("insert", collection, open)


def place_pair(trader: Trader) -> Any:
    return trader.post("/trades/oco", {"orders": PAIR})


@pytest.mark.parametrize(
    ("collection", "request_"),
    [
        ("trades", lambda trader: trader.create_trade(**STOP)),
        ("trades", lambda trader: trader.create_trade(**{**LIMIT, "limit_price": 1_500})),
        ("trades", place_pair),
        ("alerts", lambda trader: trader.post("/market/alerts", {"symbol": SHARE, "below": 1_300})),
    ],
    ids=["trade", "limit", "pair", "alert"],
)
def test_what_is_written_as_the_price_is_divided_waits_for_its_adjustment(
    alice: Trader,
    bob: Trader,
    at: At,
    meanwhile: Callable[[str], Any],
    collection: str,
    request_: Request,
) -> None:
    bob.create_trade(**STOP)
    bob.post("/market/alerts", {"symbol": SHARE, "below": 1_300})
    at("2026-11-25 09:14:59", 1_400)

    with meanwhile(collection):
        assert request_(alice).status_code == 201
    at("2026-11-25 09:15:01", 702)
    assert [event["type"] for event in alice.notifications()] in (
        [],
        ["trade_created"],
        ["trade_created"] * 2,
    )
    at("2026-11-25 09:15:08", 700)
    at("2026-11-25 09:15:09", 700)

    if collection == "alerts":
        (alert,) = alice.get("/market/alerts").get_json()["alerts"]
        assert (alert["status"], alert["below"]) == ("ACTIVE", 650.0)
        at("2026-11-25 09:16", 650)
        (alert,) = alice.get("/market/alerts").get_json()["alerts"]
        assert (alert["status"], alert["price"]) == ("TRIGGERED", 650.0)
        return
    for trade in alice.trades():
        shown = alice.get(f"/trades/{alice.client_id}/{trade['trade_id']}").get_json()
        assert shown["status"] in ("ACTIVE", "PENDING")
        assert len(shown["adjustments"]) == 1
        assert shown["quantity"] in (200, 20)
    assert find_differences(alice.client_id) == find_differences(bob.client_id) == []


@pytest.fixture
def unpriced(
    alice: Trader, at: At, clock: ManualClock, monitor: Monitor
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A trade and an alert, adjusted in a time without a monitor that had no price either."""
    trade = alice.create_trade(**STOP).get_json()
    alert = alice.post("/market/alerts", {"symbol": SHARE, "below": 1_300}).get_json()
    at("2026-11-24 15:29", 1_400)
    advance_to(clock, ist("2026-11-25 09:15:30"))
    assert monitor.settle_gap() == 0
    return trade, alert


def test_nothing_is_set_or_sold_at_a_price_that_the_open_has_divided(
    alice: Trader, at: At, unpriced: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    trade, alert = unpriced
    path = f"/trades/{alice.client_id}/{trade['trade_id']}"
    assert alice.get(path).get_json()["quantity"] == 200

    refused: dict[str, Request] = {
        "order": lambda trader: trader.create_trade(**STOP),
        "pair": place_pair,
        "change": lambda trader: trader.patch(path, {"stop_loss": 1_200}),
        "exit": lambda trader: trader.post(f"/trades/exit/{trade['trade_id']}"),
        "reset": lambda trader: trader.post(f"/portfolio/{trader.client_id}/reset", {}),
        "alert": lambda trader: trader.post("/market/alerts", {"symbol": SHARE, "below": 1_200}),
        "change of an alert": lambda trader: trader.patch(
            f"/market/alerts/{alert['alert_id']}", {"below": 1_200}
        ),
    }
    for name, request in refused.items():
        answer = request(alice)
        assert_error(answer, 503, "market_data_unavailable")
        assert "no price since" in answer.get_json()["error"], name
    preview = alice.post("/trades/preview", {**STOP, "trade_type": "BUY"}).get_json()
    assert preview["problems"][0]["code"] == "market_data_unavailable"
    all_of_them = f"/trades/exit-all/{alice.client_id}"
    assert alice.post(all_of_them, {}).get_json()["count"] == 0

    at("2026-11-25 09:16", 705)

    assert alice.patch(path, {"stop_loss": 600}).status_code == 200
    assert alice.post(f"/trades/exit/{trade['trade_id']}").get_json()["pnl"] == 1_000.0
    assert find_differences(alice.client_id) == []
