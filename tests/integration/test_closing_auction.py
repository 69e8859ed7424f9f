"""The closing auction: orders wait for its price, whether the server is up or settles a gap."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from bson import ObjectId
from flask import Flask

from app.domain.instrument import Instrument
from app.models import InstrumentList
from app.monitor import Monitor
from app.services import services
from tests.support.database_state import assert_invariants
from tests.support.exchange_time import advance_to, ist
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.users import Trader

DAY = "2026-11-23"
AUCTIONED = ("RELIANCE.NS", "^NSEI", "WITH.NS")
TRADED = "WITHOUT.NS"
AUCTION_PRICE = 1_390


@pytest.fixture
def app(make_app: Callable[..., Flask], clock: ManualClock) -> Flask:
    """An application with a list of instruments, and enforced hours."""
    app = make_app(MARKET_HOURS="enforce")
    shares = [
        Instrument(
            symbol, symbol, "NSE", Decimal("0.05"), 1, token, has_derivatives=has_derivatives
        )
        for symbol, token, has_derivatives in (("WITH.NS", "1", True), (TRADED, "2", False))
    ]
    with app.app_context():
        holder = ObjectId()
        InstrumentList.claim(holder, clock.now(), timedelta(minutes=1))
        InstrumentList.write(holder, shares)
        assert InstrumentList.publish(holder, len(shares), clock.now())
        services().instruments.refresh(every=0)
    return app


@pytest.fixture
def tick(clock: ManualClock, feed: ScriptedFeed, monitor: Monitor) -> Callable[..., None]:
    """Let every symbol have a price at a time, and the monitor make a pass."""

    def tick(time: str, price: int) -> None:
        advance_to(clock, ist(f"{DAY} {time}"))
        for symbol in (*AUCTIONED, TRADED):
            feed.tick(symbol, price)
            feed.record(symbol, clock.now(), price)
        monitor.run_if_leased()

    return tick


@pytest.fixture(params=["up", "down"])
def auction(
    request: pytest.FixtureRequest,
    app: Flask,
    clock: ManualClock,
    feed: ScriptedFeed,
    tick: Callable[..., None],
) -> Callable[[], None]:
    """Let prices be quoted while the auction takes orders, and then be made by it.

    The server is up, or settles the time from candles at 15:40.
    """

    def live() -> None:
        for time, price in (("15:21", 1_300), ("15:25", 1_500), ("15:31", AUCTION_PRICE)):
            tick(time, price)

    def missed() -> None:
        for time, price in (("15:21", 1_300), ("15:25", 1_500), ("15:31", AUCTION_PRICE)):
            for symbol in (*AUCTIONED, TRADED):
                feed.record(symbol, ist(f"{DAY} {time}"), price)
        advance_to(clock, ist(f"{DAY} 15:40"))
        Monitor(app).settle_gap()

    return live if request.param == "up" else missed


@pytest.fixture(autouse=True)
def afternoon(tick: Callable[..., None], alice: Trader) -> None:
    tick("15:14", 1_400)


def only_trade(alice: Trader) -> dict[str, Any]:
    (trade,) = alice.trades()
    return trade


@pytest.mark.parametrize("symbol", AUCTIONED)
def test_stops_do_not_fire_and_a_target_exits_at_the_price_of_the_auction(
    alice: Trader, auction: Callable[[], None], symbol: str
) -> None:
    # The price touches each of these levels before the auction has made one.
    alice.create_trade(symbol=symbol, stop_loss=1_395)
    alice.create_trade(symbol=symbol, trailing_offset=5)
    alice.create_trade(symbol=symbol, trade_type="SELL", target_price=1_395)

    auction()

    sell, trailing, stop = alice.trades()
    assert (stop["status"], trailing["status"]) == ("ACTIVE", "ACTIVE")
    assert (sell["status"], sell["exit_price"]) == ("TARGET_HIT", AUCTION_PRICE)
    shown = alice.get(f"/trades/{alice.client_id}/{sell['trade_id']}").get_json()
    assert shown["fills"][-1]["rule"] == "auction"
    assert_invariants(alice.client_id)


def test_stops_of_a_share_without_derivatives_fire_until_the_close(
    alice: Trader, auction: Callable[[], None]
) -> None:
    alice.create_trade(symbol=TRADED, stop_loss=1_395)

    auction()

    assert only_trade(alice)["status"] == "STOP_LOSS_HIT"
    assert only_trade(alice)["exit_price"] == 1_300


def test_a_stop_that_the_auction_passed_fires_at_the_next_opening(
    alice: Trader,
    clock: ManualClock,
    feed: ScriptedFeed,
    monitor: Monitor,
    tick: Callable[..., None],
) -> None:
    alice.create_trade(symbol="RELIANCE.NS", stop_loss=1_395)
    tick("15:31", AUCTION_PRICE)
    assert only_trade(alice)["status"] == "ACTIVE"

    advance_to(clock, ist("2026-11-25 09:15:01"))
    feed.tick("RELIANCE.NS", 1_380)
    monitor.run_if_leased()

    assert (only_trade(alice)["status"], only_trade(alice)["exit_price"]) == (
        "STOP_LOSS_HIT",
        1_380,
    )


@pytest.mark.parametrize("side", ["BUY", "SELL"])
@pytest.mark.parametrize(
    "order",
    [
        {},
        {"order_type": "LIMIT", "limit_price": AUCTION_PRICE},
        {"order_type": "LIMIT", "limit_price": {"BUY": 1_400, "SELL": 1_380}},
    ],
    ids=["market", "limit", "better than the limit"],
)
def test_orders_during_the_auction_are_filled_at_its_price(
    alice: Trader,
    tick: Callable[..., None],
    auction: Callable[[], None],
    side: str,
    order: dict[str, Any],
) -> None:
    tick("15:20", 1_400)
    limit = order.get("limit_price")
    if isinstance(limit, dict):
        order = {**order, "limit_price": limit[side]}
    answer = alice.create_trade(symbol="RELIANCE.NS", trade_type=side, **order).get_json()
    assert (answer["status"], answer["queued_for"]) == ("PENDING", DAY)

    auction()

    trade = only_trade(alice)
    assert (trade["status"], trade["entry_price"]) == ("ACTIVE", AUCTION_PRICE)
    assert_invariants(alice.client_id)


@pytest.mark.parametrize(("side", "price"), [("BUY", 1_405), ("SELL", 1_395)])
def test_a_stop_entry_waits_through_the_auction(
    alice: Trader, auction: Callable[[], None], side: str, price: int
) -> None:
    order = {"symbol": "RELIANCE.NS", "trade_type": side, "order_type": "STOP"}
    alice.create_trade(**order, stop_price=price)

    auction()

    assert only_trade(alice)["status"] == "PENDING"


def test_an_exit_during_the_auction_is_at_its_price(
    alice: Trader, tick: Callable[..., None], auction: Callable[[], None]
) -> None:
    trade = alice.create_trade(symbol="RELIANCE.NS", quantity=2).get_json()
    tick("15:20", 1_400)

    answer = alice.post(f"/trades/exit/{trade['trade_id']}", {})
    assert (answer.status_code, answer.get_json()["queued_for"]) == (202, DAY)
    auction()

    assert (only_trade(alice)["status"], only_trade(alice)["exit_price"]) == (
        "CLOSED",
        AUCTION_PRICE,
    )
    assert_invariants(alice.client_id)


def test_an_order_after_the_auction_took_its_orders_waits_for_the_next_session(
    alice: Trader, tick: Callable[..., None]
) -> None:
    tick("15:30:30", AUCTION_PRICE)
    assert alice.create_trade(symbol="RELIANCE.NS").get_json()["queued_for"] == "2026-11-25"

    tick("15:32", AUCTION_PRICE)

    assert only_trade(alice)["status"] == "PENDING"


def test_an_immediate_order_cannot_wait_for_the_auction(
    alice: Trader, tick: Callable[..., None]
) -> None:
    tick("15:20", 1_400)

    answer = alice.create_trade(symbol="RELIANCE.NS", time_in_force="IOC")

    assert assert_error(answer, 409, "market_closed")["given"] == "RELIANCE.NS"
    assert answer.get_json()["error"] == (
        "RELIANCE.NS is in its closing auction until 15:35 IST: nothing is filled at the last "
        "price."
    )
    assert alice.create_trade(symbol=TRADED, time_in_force="IOC").get_json()["status"] == "ACTIVE"


def test_exit_all_queues_what_is_auctioned(alice: Trader, tick: Callable[..., None]) -> None:
    alice.create_trade(symbol="RELIANCE.NS")
    alice.create_trade(symbol=TRADED)
    tick("15:20", 1_400)

    answer = alice.post(f"/trades/exit-all/{alice.client_id}", {}).get_json()

    assert (answer["count"], answer["not_exited"]) == (1, [])
    assert [each["symbol"] for each in answer["queued"]] == ["RELIANCE.NS"]
    assert answer["message"] == "1 of 2 trades exited, 1 queued for the next session"
    reset = alice.post(f"/portfolio/{alice.client_id}/reset", {})
    assert_error(reset, 409, "market_closed")


def test_a_modified_limit_waits_for_the_price_of_the_auction(
    alice: Trader, tick: Callable[..., None], auction: Callable[[], None]
) -> None:
    order = {"symbol": "RELIANCE.NS", "order_type": "LIMIT", "limit_price": 1_200}
    trade = alice.create_trade(**order).get_json()
    tick("15:20", 1_400)

    path = f"/trades/{alice.client_id}/{trade['trade_id']}"
    assert alice.patch(path, {"limit_price": 1_405}).get_json()["status"] == "PENDING"
    auction()

    assert only_trade(alice)["entry_price"] == AUCTION_PRICE


def test_a_limit_that_is_modified_after_the_auction_took_its_orders_waits_for_the_next_session(
    alice: Trader,
    clock: ManualClock,
    feed: ScriptedFeed,
    monitor: Monitor,
    tick: Callable[..., None],
) -> None:
    order = {"symbol": "RELIANCE.NS", "order_type": "LIMIT", "limit_price": 1_200}
    trade = alice.create_trade(**order).get_json()
    tick("15:31", AUCTION_PRICE)

    path = f"/trades/{alice.client_id}/{trade['trade_id']}"
    assert alice.patch(path, {"limit_price": 1_405}).get_json()["status"] == "PENDING"
    tick("15:33", AUCTION_PRICE)
    assert only_trade(alice)["status"] == "PENDING"

    advance_to(clock, ist("2026-11-25 09:15:01"))
    feed.tick("RELIANCE.NS", 1_380)
    monitor.run_if_leased()
    assert (only_trade(alice)["status"], only_trade(alice)["entry_price"]) == ("ACTIVE", 1_380)


def test_a_target_that_is_modified_after_the_auction_took_its_orders_waits_as_well(
    alice: Trader, tick: Callable[..., None]
) -> None:
    trade = alice.create_trade(symbol="RELIANCE.NS", target_price=1_500).get_json()
    tick("15:31", 1_410)

    path = f"/trades/{alice.client_id}/{trade['trade_id']}"
    assert alice.patch(path, {"target_price": 1_411}).status_code == 200
    tick("15:33", 1_412)

    assert only_trade(alice)["status"] == "ACTIVE"


def test_a_preview_says_that_the_order_waits_for_the_auction(
    alice: Trader, tick: Callable[..., None]
) -> None:
    tick("15:20", 1_400)
    order = {"symbol": "RELIANCE.NS", "trade_type": "BUY", "quantity": 1, "stop_loss": 1_300}

    preview = alice.post("/trades/preview", order).get_json()

    assert (preview["problems"], preview["queued_for"]) == ([], DAY)
    (warning,) = preview["warnings"]
    assert (warning["code"], "closing auction" in warning["message"]) == ("queued", True)
