"""Orders outside market hours: they wait for the next session."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from app.domain.quote import Source
from app.events import events_committed
from app.models import Notification
from app.monitor import Monitor
from app.services import services
from tests.support.database_state import assert_invariants
from tests.support.exchange_time import advance_to, ist
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.users import Trader

# The 24th is a holiday.
EVENING, PRE_OPEN, OPEN = "2026-11-23 20:00", "2026-11-25 09:05", "2026-11-25 09:15:01"


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(MARKET_HOURS="enforce")


@pytest.fixture
def tick(clock: ManualClock, feed: ScriptedFeed, monitor: Monitor) -> Callable[[str, int], None]:
    """Let NIFTY have a price at a time in India, and the monitor make a pass."""

    def tick(time: str, price: int) -> None:
        advance_to(clock, ist(time))
        feed.tick("^NSEI", price)
        monitor.run_if_leased()

    return tick


@pytest.fixture(autouse=True)
def evening(tick: Callable[[str, int], None], alice: Trader, bob: Trader) -> None:
    """Let it be after the close, with NIFTY at 25,000."""
    tick("2026-11-23 15:29", 25_000)
    tick(EVENING, 25_000)


def test_a_market_order_waits_for_the_first_price_of_the_next_session(
    alice: Trader, tick: Callable[[str, int], None]
) -> None:
    answer = alice.create_trade(stop_loss=24_000)

    assert answer.status_code == 201, answer.text
    placed = answer.get_json()
    assert (placed["status"], placed["queued_for"]) == ("PENDING", "2026-11-25")
    assert placed["margin_used"] == 5_000.0
    event = alice.notifications()[0]
    assert event["message"] == (
        "Placed a MARKET order to buy 1 ^NSEI with stop-loss ₹24,000.00, for the session of 25 "
        "November 2026."
    )
    assert event["data"]["queued_for"] == "2026-11-25"

    tick("2026-11-23 21:00", 24_500)
    tick(PRE_OPEN, 24_600)
    assert alice.trades()[0]["status"] == "PENDING"

    tick(OPEN, 25_200)
    (trade,) = alice.trades()
    assert (trade["status"], trade["entry_price"]) == ("ACTIVE", 25_200.0)
    assert trade["margin_used"] == 5_040.0
    assert_invariants(alice.client_id)


def test_a_preview_names_the_session_that_an_order_waits_for(
    alice: Trader, clock: ManualClock
) -> None:
    clock.advance(20)
    order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1, "stop_loss": 24_000}

    preview = alice.post("/trades/preview", order).get_json()

    assert (preview["problems"], preview["queued_for"]) == ([], "2026-11-25")
    assert [warning["code"] for warning in preview["warnings"]] == ["queued"]
    assert preview["warnings"][0]["message"] == (
        "The market is closed: the order waits for the session of 25 November 2026."
    )
    # The quote has its own time, not that of the order.
    assert preview["quote"]["timestamp"] == "2026-11-23T14:30:00.000Z"
    trade = alice.create_trade(stop_loss=24_000).get_json()
    assert preview["margin_required"] == trade["margin_used"]


@pytest.mark.parametrize(
    ("order", "opening", "entry_price"),
    [
        # Better than the limit: the opening auction improves the price.
        ({"order_type": "LIMIT", "limit_price": 24_900}, 24_700, 24_700.0),
        # Marketable in the evening, and at the open.
        ({"order_type": "LIMIT", "limit_price": 25_100}, 25_050, 25_050.0),
        ({"order_type": "STOP", "stop_price": 25_100}, 25_300, 25_300.0),
        ({"trade_type": "SELL", "order_type": "STOP", "stop_price": 24_900}, 24_500, 24_500.0),
    ],
)
def test_a_queued_order_is_filled_at_the_open_that_lies_beyond_its_price(
    alice: Trader,
    tick: Callable[[str, int], None],
    order: dict[str, object],
    opening: int,
    entry_price: float,
) -> None:
    assert alice.create_trade(**order).get_json()["status"] == "PENDING"

    tick(OPEN, opening)

    (trade,) = alice.trades()
    assert (trade["status"], trade["entry_price"]) == ("ACTIVE", entry_price)
    assert_invariants(alice.client_id)


def test_a_queued_limit_that_the_open_does_not_reach_waits_on(
    alice: Trader, tick: Callable[[str, int], None]
) -> None:
    alice.create_trade(order_type="LIMIT", limit_price=25_100)

    tick(OPEN, 25_500)
    assert alice.trades()[0]["status"] == "PENDING"
    tick("2026-11-25 11:00", 25_000)

    assert alice.trades()[0]["entry_price"] == 25_100.0


def test_an_order_that_is_written_during_the_opening_is_filled_at_its_first_price(
    alice: Trader, app: Flask, clock: ManualClock, feed: ScriptedFeed
) -> None:
    def open_session(_sender: object, events: list[Notification]) -> None:
        # The order is committed, and not yet compared with the ticks that came in meanwhile.
        if events[0].type == "trade_created":
            for time, price in ((PRE_OPEN, 24_500), (OPEN, 24_700), (OPEN, 24_600)):
                advance_to(clock, ist(time))
                services().quotes.update([feed.set("^NSEI", price)])

    with events_committed.connected_to(open_session, sender=app):
        alice.create_trade(order_type="LIMIT", limit_price=24_900)

    (trade,) = alice.trades()
    assert (trade["status"], trade["entry_price"]) == ("ACTIVE", 24_700.0)
    assert_invariants(alice.client_id)


def test_an_immediate_order_cannot_wait(alice: Trader) -> None:
    answer = alice.create_trade(time_in_force="IOC")

    assert assert_error(answer, 409, "market_closed")["next_open"] == "2026-11-25T03:45:00.000Z"
    assert alice.trades() == []


def test_an_order_of_a_day_expires_at_the_end_of_the_session_it_was_queued_for(
    alice: Trader, bob: Trader, tick: Callable[[str, int], None]
) -> None:
    order = {"order_type": "LIMIT", "limit_price": 24_000, "time_in_force": "DAY"}
    trade = alice.create_trade(**order).get_json()
    # The closing auction ends at 15:35.
    assert trade["expires_at"] == "2026-11-25T10:05:00.000Z"
    bob.create_trade(**order | {"time_in_force": "GTC"})

    tick("2026-11-25 15:34", 25_000)
    assert alice.trades()[0]["status"] == "PENDING"
    tick("2026-11-25 15:36", 25_000)

    (trade,) = alice.trades()
    assert (trade["status"], trade["end_reason"]) == ("EXPIRED", "expired")
    assert alice.portfolio()["available_margin"] == 100_000.0
    event = alice.notifications()[0]
    assert (event["type"], event["data"]["margin_released"]) == ("trade_expired", 4_800.0)
    assert event["message"] == "Your LIMIT order to buy 1 ^NSEI at ₹24,000.00 has expired."
    assert bob.trades()[0]["status"] == "PENDING"
    assert_invariants(alice.client_id)


def test_the_preview_of_a_queued_order_has_no_problem(alice: Trader) -> None:
    body = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}

    market = alice.post("/trades/preview", body).get_json()
    assert (market["problems"], market["entry_price"]) == ([], 25_000.0)
    limit = alice.post("/trades/preview", {**body, "order_type": "LIMIT", "limit_price": 25_200})
    # It is not filled at once, so its limit counts.
    assert limit.get_json()["entry_price"] == 25_200.0
    refused = alice.post("/trades/preview", {**body, "time_in_force": "IOC"}).get_json()
    assert [problem["code"] for problem in refused["problems"]] == ["market_closed"]


def test_a_gap_over_a_night_fills_nothing_before_the_open(
    alice: Trader, clock: ManualClock, feed: ScriptedFeed, monitor: Monitor
) -> None:
    alice.create_trade()
    for time, price in (
        ("2026-11-23 21:00", 24_000),
        ("2026-11-25 09:10", 24_100),
        ("2026-11-25 09:15", 25_300),
        ("2026-11-25 09:16", 25_400),
    ):
        feed.record("^NSEI", ist(time), price)
    advance_to(clock, ist("2026-11-25 09:20"))

    monitor.settle_gap()

    (trade,) = alice.trades()
    assert (trade["status"], trade["entry_price"]) == ("ACTIVE", 25_300.0)
    assert_invariants(alice.client_id)


def test_an_order_at_a_delayed_price_ends_after_the_delay(
    alice: Trader, clock: ManualClock, feed: ScriptedFeed, monitor: Monitor
) -> None:
    feed.source = Source.YAHOO
    advance_to(clock, ist("2026-11-25 15:00"))
    feed.tick("^NSEI", 25_000)
    monitor.run_if_leased()
    order = {"order_type": "LIMIT", "limit_price": 24_900, "time_in_force": "DAY"}
    assert alice.create_trade(**order).get_json()["status"] == "PENDING"

    advance_to(clock, ist("2026-11-25 15:35"))
    monitor.run_if_leased()
    assert alice.trades()[0]["status"] == "PENDING"
    clock.advance(timedelta(minutes=20).total_seconds())
    monitor.run_if_leased()
    assert alice.trades()[0]["status"] == "EXPIRED"
