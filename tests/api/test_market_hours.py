"""Market hours over HTTP: the status, and orders if those outside hours are refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.events import events_committed
from app.market_data.calendar import TradingCalendar
from app.models import Notification
from app.services import services
from tests.support.database_state import all_documents, assert_invariants
from tests.support.exchange_time import advance_to, ist
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.retries import (
    assert_same,
    create,
    exit_all_path,
    exit_path,
    interrupt,
    send,
)
from tests.support.users import Trader


@pytest.fixture(scope="module")
def calendar() -> TradingCalendar:
    return TradingCalendar()


@pytest.fixture
def clock(calendar: TradingCalendar) -> ManualClock:
    """The next opening, by the real clock: the database forgets answers that are a week old."""
    return ManualClock(calendar.next_open(datetime.now(UTC)))


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(MARKET_HOURS="enforce", ORDERS_OUTSIDE_HOURS="refuse")


@pytest.fixture
def at(clock: ManualClock, feed: ScriptedFeed) -> Callable[[str], None]:
    """Let it be a time in India, with NIFTY at 25,000."""

    def at(time: str) -> None:
        advance_to(clock, ist(time))
        feed.set("^NSEI", 25_000)

    return at


@pytest.fixture
def close(clock: ManualClock, calendar: TradingCalendar) -> Callable[[], dict[str, Any]]:
    """Let it be the exact end of the session; return the details of every refusal then."""

    def close() -> dict[str, Any]:
        advance_to(clock, calendar.next_close(clock.now()))
        opens = calendar.next_open(clock.now())
        return {"next_open": f"{opens:%Y-%m-%dT%H:%M:%S}.000Z"}

    return close


def test_the_status_has_every_field(
    client: FlaskClient, at: Callable[[str], None], calendar: TradingCalendar
) -> None:
    at("2030-11-20 10:00")

    answer = client.get("/market/status")

    assert answer.status_code == 200
    assert answer.get_json() == {
        "open": True,
        "session": "regular",
        "session_date": "2030-11-20",
        "occasion": None,
        "next_open": "2030-11-21T03:45:00.000Z",
        "next_close": "2030-11-20T10:00:00.000Z",
        "enforced": True,
        "exchanges": ["NSE", "BSE"],
        "timezone": "Asia/Kolkata",
        "holidays_known_until": calendar.known_until.isoformat(),
    }


def test_the_status_follows_the_clock_through_a_day(
    client: FlaskClient, at: Callable[[str], None]
) -> None:
    seen = []
    for time in ("08:00", "09:14:59", "09:15", "15:29:59", "15:30", "15:35"):
        at(f"2030-11-20 {time}")
        body = client.get("/market/status").get_json()
        seen.append((body["open"], body["session"], body["session_date"] is None))

    assert seen == [
        (False, "closed", True),
        (False, "pre_open", False),
        (True, "regular", False),
        (True, "closing_auction", False),
        (False, "closing_auction", False),
        (False, "closed", True),
    ]


def test_the_status_is_that_of_the_exchange_if_hours_are_ignored(
    make_app: Callable[..., Flask], at: Callable[[str], None]
) -> None:
    at("2030-11-23 11:00")

    body = make_app().test_client().get("/market/status").get_json()

    assert (body["open"], body["enforced"]) == (False, False)


def test_trading_continues_if_hours_are_ignored(
    make_app: Callable[..., Flask], at: Callable[[str], None], alice: Trader
) -> None:
    at("2030-11-23 11:00")
    assert alice.create_trade().status_code == 409

    alice.client = make_app(MARKET_HOURS="ignore").test_client()
    trade = alice.create_trade()
    assert trade.status_code == 201
    assert alice.post(exit_path(trade.get_json())).status_code == 200


@pytest.mark.parametrize(
    ("time", "status"),
    [
        ("2030-11-20 09:14:59", 409),
        ("2030-11-20 09:15:00", 201),
        ("2030-11-20 15:29:59", 201),
        ("2030-11-20 15:30:00", 409),
        ("2030-11-23 11:00:00", 409),
        ("2030-12-25 11:00:00", 409),
    ],
)
def test_orders_are_taken_from_the_opening_to_before_the_close(
    at: Callable[[str], None], alice: Trader, time: str, status: int
) -> None:
    at(time)

    assert alice.create_trade().status_code == status


def test_an_order_outside_hours_is_refused_naming_the_next_opening(
    at: Callable[[str], None], alice: Trader
) -> None:
    at("2030-11-23 11:00")
    before = all_documents()

    answer = create(alice, "k", client_order_id="my-order")

    assert assert_error(answer, 409, "market_closed") == {
        "next_open": "2030-11-25T03:45:00.000Z",
        "param": "symbol",
        "given": "^NSEI",
    }
    assert answer.get_json()["error"] == (
        "The market is closed. It opens on Monday, 25 November 2030 at 09:15 IST."
    )
    assert "Retry-After" not in answer.headers
    assert all_documents() == before
    at("2030-11-25 09:15")
    assert create(alice, "k", client_order_id="my-order").status_code == 201


def test_exits_outside_hours_are_refused_and_write_nothing(
    close: Callable[[], dict[str, Any]], alice: Trader
) -> None:
    trade = create(alice).get_json()
    details = close()
    before = all_documents()

    for path in (exit_path(trade), exit_all_path(alice)):
        for key in (None, "k"):
            assert assert_error(send(alice, path, key), 409, "market_closed") == details
    assert all_documents() == before
    assert_invariants(alice.client_id)


def test_orders_are_cancelled_at_any_hour_and_exits_that_are_refused_are_listed(
    close: Callable[[], dict[str, Any]], alice: Trader
) -> None:
    trade = create(alice).get_json()
    waiting = create(alice, order_type="LIMIT", limit_price=24_900).get_json()
    close()

    answer = send(alice, exit_all_path(alice), "k", {"include_pending": True})

    assert answer.status_code == 200
    assert answer.get_json() == {
        "message": "0 of 1 trades exited",
        "total_pnl": 0.0,
        "count": 0,
        "cancelled": 1,
        "queued": [],
        "not_exited": [{"trade_id": trade["trade_id"], "symbol": "^NSEI", "code": "market_closed"}],
    }
    statuses = {each["trade_id"]: each["status"] for each in alice.trades()}
    assert statuses == {trade["trade_id"]: "ACTIVE", waiting["trade_id"]: "CANCELLED"}
    assert_same(send(alice, exit_all_path(alice), "k", {"include_pending": True}), answer)
    assert_invariants(alice.client_id)


def test_an_exit_that_is_never_possible_is_refused_with_its_own_error(
    close: Callable[[], dict[str, Any]], alice: Trader
) -> None:
    trade = create(alice).get_json()
    assert send(alice, exit_path(trade)).status_code == 200
    close()

    assert_error(send(alice, exit_path(trade)), 409, "trade_not_active")
    assert_error(send(alice, "/trades/exit/" + "0" * 24), 404, "trade_not_found")


def test_a_retry_after_the_close_gets_the_first_answer(
    close: Callable[[], dict[str, Any]], alice: Trader
) -> None:
    calls: list[Callable[[], TestResponse]] = [
        lambda: create(alice, "a"),
        lambda: create(alice, client_order_id="my-order"),
        lambda: send(alice, exit_path(alice.trades()[-1]), "b"),
        lambda: send(alice, exit_all_path(alice), "c"),
    ]
    first = [call() for call in calls]
    assert [each.status_code for each in first] == [201, 201, 200, 200]
    close()
    before = all_documents()

    for call, answer in zip(calls, first, strict=True):
        assert_same(call(), answer)
    assert all_documents() == before


def test_an_interrupted_exit_all_continues_at_the_next_opening(
    close: Callable[[], dict[str, Any]],
    clock: ManualClock,
    feed: ScriptedFeed,
    calendar: TradingCalendar,
    alice: Trader,
) -> None:
    trades = [create(alice).get_json() for _ in range(3)]
    first = send(alice, exit_all_path(alice), "k")
    interrupt(alice, "k", trades, exited=1)
    details = close()

    assert assert_error(send(alice, exit_all_path(alice), "k"), 409, "market_closed") == details
    assert len(alice.trades("?status=ACTIVE")) == 2

    advance_to(clock, calendar.next_open(clock.now()) + timedelta(seconds=1))
    feed.set("^NSEI", 25_000)
    assert_same(send(alice, exit_all_path(alice), "k"), first)
    assert_invariants(alice.client_id)


@pytest.mark.parametrize(("after_close", "status"), [(False, "STOP_LOSS_HIT"), (True, "ACTIVE")])
def test_a_tick_after_the_close_does_not_close_the_trade_just_opened(
    app: Flask,
    close: Callable[[], dict[str, Any]],
    feed: ScriptedFeed,
    alice: Trader,
    after_close: bool,
    status: str,
) -> None:
    def fall(_sender: object, events: list[Notification]) -> None:
        # The trade is committed, and not yet compared with the ticks that came in meanwhile.
        if events[0].type == "trade_created":
            if after_close:
                close()
            services().quotes.update([feed.set("^NSEI", 24_000)])

    with events_committed.connected_to(fall, sender=app):
        trade = create(alice, stop_loss=24_500)

    assert trade.status_code == 201
    assert alice.trades()[0]["status"] == status


def test_everything_else_works_while_the_exchange_is_closed(
    close: Callable[[], dict[str, Any]], alice: Trader
) -> None:
    create(alice)
    close()

    assert alice.client.get("/market/live/NIFTY").status_code == 200
    assert len(alice.trades()) == 1
    assert alice.get(f"/trades/performance/{alice.client_id}").status_code == 200
    assert alice.portfolio()["utilized_margin"] > 0
