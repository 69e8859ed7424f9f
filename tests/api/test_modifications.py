"""Modifying orders that wait, and the levels of active trades."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from bson import ObjectId
from flask import Flask
from werkzeug.test import TestResponse

from app.monitor import Monitor
from app.services import services
from tests.support.changes import AT_ONCE, cancel, events, modify, move, show, statuses
from tests.support.concurrency import run_concurrently
from tests.support.database_state import all_documents
from tests.support.factories import assert_portfolio_balances, trades_of
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection
from tests.support.responses import TRADE, assert_error, assert_shape
from tests.support.retries import assert_same
from tests.support.users import Trader

Call = Callable[[], Any]


def test_the_answer_of_a_modification_is_the_trade_as_it_now_is(alice: Trader) -> None:
    trade = alice.create_trade(quantity=2, stop_loss=24_900).get_json()

    answer = modify(alice, trade, stop_loss=24_950, target_price=25_200)

    assert answer.status_code == 200
    body = answer.get_json()
    assert_shape(body, TRADE)
    assert (body["stop_loss"], body["target_price"], body["version"]) == (24_950.0, 25_200.0, 1)
    assert body["status"] == "ACTIVE"
    (event,) = events(alice, "trade_modified")
    assert (event["version"], event["stop_loss"]) == (1, 24_950)
    assert_portfolio_balances(alice.client_id)


def test_null_removes_a_level_and_what_is_left_out_stays(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(stop_loss=24_900, target_price=25_100).get_json()

    body = modify(alice, trade, stop_loss=None).get_json()

    assert (body["stop_loss"], body["target_price"]) == (None, 25_100.0)
    move(feed, monitor, 24_000)
    assert show(alice, trade["trade_id"])["status"] == "ACTIVE"
    move(feed, monitor, 25_200)
    closed = show(alice, trade["trade_id"])
    assert (closed["status"], closed["exit_price"]) == ("TARGET_HIT", 25_100.0)


def test_the_new_stop_closes_the_trade_and_the_old_one_does_not(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(stop_loss=24_900).get_json()
    assert modify(alice, trade, stop_loss=24_500).status_code == 200

    move(feed, monitor, 24_800)
    assert show(alice, trade["trade_id"])["status"] == "ACTIVE"
    move(feed, monitor, 24_490)
    assert show(alice, trade["trade_id"])["status"] == "STOP_LOSS_HIT"
    assert_portfolio_balances(alice.client_id)


def test_prices_before_a_modification_do_not_reach_its_levels(
    app: Flask, alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    trade = alice.create_trade().get_json()
    move(feed, monitor, 24_000)
    older = services_ticks(app)[-1]
    clock.advance(60)
    move(feed, monitor, 25_000)

    assert modify(alice, trade, stop_loss=24_500).status_code == 200

    with app.app_context():
        (stored,) = trades_of(alice.client_id)
        assert stored.entered.triggered_by(older) is None
        later = feed.set("^NSEI", 24_400)
        assert stored.entered.triggered_by(later) is not None


def services_ticks(app: Flask) -> list[Any]:
    with app.app_context():
        return services().quotes.ticks("^NSEI")


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"stop_loss": 25_000}, "wrong_side_of_price"),
        ({"target_price": 24_999}, "wrong_side_of_price"),
        ({}, "validation_error"),
        ({"stop_loss": "24000"}, "validation_error"),
        ({"trade_type": "SELL"}, "validation_error"),
    ],
)
def test_what_create_refuses_a_modification_refuses_as_well(
    alice: Trader, terms: dict[str, Any], code: str
) -> None:
    trade = alice.create_trade(stop_loss=24_900, target_price=25_100).get_json()
    before = all_documents()

    assert_error(modify(alice, trade, **terms), 400, code)
    assert all_documents() == before


def test_an_order_that_waits_takes_other_prices_and_another_quantity(
    alice: Trader, place: Callable[..., dict[str, Any]], feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = place(24_900)
    assert (trade["status"], trade["margin_used"]) == ("PENDING", 4_980.0)

    body = modify(alice, trade, limit_price=24_800, quantity=3, stop_loss=24_000).get_json()

    assert (body["limit_price"], body["quantity"], body["stop_loss"]) == (24_800.0, 3, 24_000.0)
    assert (body["margin_used"], body["version"]) == (14_880.0, 1)
    assert alice.portfolio()["utilized_margin"] == 14_880.0
    assert_portfolio_balances(alice.client_id)
    move(feed, monitor, 24_850)
    assert show(alice, trade["trade_id"])["status"] == "PENDING"
    move(feed, monitor, 24_790)
    filled = show(alice, trade["trade_id"])
    assert (filled["status"], filled["entry_price"]) == ("ACTIVE", 24_800.0)
    assert (filled["open_quantity"], filled["stop_loss"]) == (3, 24_000.0)
    assert_portfolio_balances(alice.client_id)


def test_an_order_takes_another_time_in_force(
    alice: Trader,
    place: Callable[..., dict[str, Any]],
    clock: ManualClock,
    feed: ScriptedFeed,
    monitor: Monitor,
) -> None:
    trade = place(24_900)

    body = modify(alice, trade, time_in_force="day").get_json()

    assert (body["time_in_force"], body["expires_at"]) == ("DAY", "2026-11-23T10:05:00.000Z")
    event = alice.notifications()[0]["data"]
    assert (event["time_in_force"], event["expires_at"]) == ("DAY", body["expires_at"])
    assert "time_in_force" in assert_error(
        modify(alice, trade, time_in_force="IOC"), 400, "validation_error"
    )
    clock.advance(7 * 3600)
    move(feed, monitor, 24_800)
    assert show(alice, trade["trade_id"])["entry_price"] is None


def test_a_limit_that_the_price_has_reached_is_filled_at_the_price(
    alice: Trader, place: Callable[..., dict[str, Any]]
) -> None:
    trade = place(24_900)

    body = modify(alice, trade, limit_price=25_100).get_json()

    assert (body["status"], body["entry_price"]) == ("ACTIVE", 25_000.0)
    assert (body["margin_used"], body["limit_price"]) == (5_000.0, 25_100.0)
    assert_portfolio_balances(alice.client_id)


def test_a_modification_needs_the_margin_of_the_difference(
    alice: Trader, place: Callable[..., dict[str, Any]]
) -> None:
    trade = place(24_900, quantity=2)
    place(24_000, quantity=18)
    before = all_documents()

    details = assert_error(modify(alice, trade, quantity=3), 400, "insufficient_margin")

    assert details["required_margin"] == 14_940.0
    assert details["available_margin"] == 100_000.0 - 86_400.0
    assert all_documents() == before
    assert modify(alice, trade, quantity=1).get_json()["margin_used"] == 4_980.0
    assert_portfolio_balances(alice.client_id)


@pytest.mark.parametrize(
    ("terms", "param"),
    [({"stop_price": 25_100}, "stop_price"), ({"limit_price": None}, "limit_price")],
)
def test_an_order_has_no_price_that_its_type_has_no_use_for(
    alice: Trader, place: Callable[..., dict[str, Any]], terms: dict[str, Any], param: str
) -> None:
    assert param in assert_error(modify(alice, place(24_900), **terms), 400, "validation_error")


def test_a_stop_that_the_price_has_passed_would_trigger_immediately(
    alice: Trader, place: Callable[..., dict[str, Any]]
) -> None:
    trade = place(stop_price=25_100)

    assert_error(modify(alice, trade, stop_price=24_900), 400, "would_trigger_immediately")
    assert modify(alice, trade, stop_price=25_200).get_json()["stop_price"] == 25_200.0


def test_an_order_stays_as_it_was_if_its_change_would_fill_it_without_margin(
    alice: Trader, place: Callable[..., dict[str, Any]]
) -> None:
    alice.post(f"/portfolio/{alice.client_id}/withdraw", {"amount": 100})
    trade = place(25_100, trade_type="SELL", quantity=19)

    # The limit needs 99,600, the fill at 25,000 needs more.
    answer = modify(alice, trade, limit_price=24_900, quantity=20)

    details = assert_error(answer, 400, "insufficient_margin")
    assert (details["required_margin"], details["available_margin"]) == (100_000.0, 99_900.0)
    assert show(alice, trade["trade_id"]) == trade
    assert_portfolio_balances(alice.client_id)


def test_the_terms_of_an_entry_cannot_change_once_it_is_filled(alice: Trader) -> None:
    trade = alice.create_trade().get_json()

    details = assert_error(modify(alice, trade, quantity=2), 409, "not_pending")

    assert details["trade"]["status"] == "ACTIVE"
    assert details["trade"]["entry_price"] == 25_000.0


def test_a_trade_that_is_over_cannot_change(alice: Trader) -> None:
    trade = alice.create_trade().get_json()
    alice.post(f"/trades/exit/{trade['trade_id']}")

    details = assert_error(modify(alice, trade, stop_loss=24_000), 409, "trade_ended")
    assert (details["trade"]["status"], details["trade"]["pnl"]) == ("CLOSED", 0.0)


def test_a_version_that_is_not_the_trades_is_refused(alice: Trader) -> None:
    trade = alice.create_trade().get_json()
    assert modify(alice, trade, stop_loss=24_000, version=0).status_code == 200

    answer = modify(alice, trade, stop_loss=24_500, version=0)

    details = assert_error(answer, 409, "changed_meanwhile")
    assert (details["trade"]["version"], details["trade"]["stop_loss"]) == (1, 24_000.0)
    assert modify(alice, trade, stop_loss=24_500, version=1).status_code == 200


def test_a_retry_gets_the_trade_as_it_was_after_the_first_try(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(stop_loss=24_000).get_json()
    first = modify(alice, trade, "k", stop_loss=24_500)
    modify(alice, trade, stop_loss=24_600)
    move(feed, monitor, 24_000)
    before = all_documents()

    assert_same(modify(alice, trade, "k", stop_loss=24_500), first)
    assert all_documents() == before
    reused = modify(alice, trade, "k", stop_loss=None)
    assert_error(reused, 409, "idempotency_key_reused")
    assert_error(modify(alice, trade, "k"), 400, "validation_error")


def test_a_retry_of_the_order_gets_the_terms_it_was_opened_with(alice: Trader) -> None:
    named = {"client_order_id": "mine", "stop_loss": 24_000, "trailing_offset": 500}
    first = alice.create_trade(**named)
    modify(alice, first.get_json(), stop_loss=24_500)
    modify(alice, first.get_json(), trailing_pct=1)
    modify(alice, first.get_json(), target_price=26_000)

    assert_same(alice.create_trade(**named), first)


def test_anothers_trade_cannot_be_modified(alice: Trader, bob: Trader) -> None:
    trade = alice.create_trade().get_json()

    path = f"/trades/{bob.client_id}/{trade['trade_id']}"
    assert_error(bob.patch(path, {"stop_loss": 24_000}), 404, "trade_not_found")
    path = f"/trades/{alice.client_id}/{trade['trade_id']}"
    assert_error(bob.patch(path, {"stop_loss": 24_000}), 403, "forbidden")


def test_twenty_modifications_at_once_are_one_after_the_other_or_refused(
    alice: Trader, place: Callable[..., dict[str, Any]]
) -> None:
    trade = place(24_900)
    prices = [24_000 + 10 * number for number in range(AT_ONCE)]

    answers = run_concurrently(
        [partial(modify, alice, trade, limit_price=price, version=0) for price in prices]
    )

    assert statuses(answers) == {200: 1, 409: AT_ONCE - 1}
    (winner,) = [answer.get_json() for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer.status_code == 409:
            details = assert_error(answer, 409, "changed_meanwhile")
            assert details["trade"]["limit_price"] == winner["limit_price"]
    assert len(events(alice, "trade_modified")) == 1
    assert_portfolio_balances(alice.client_id)


@pytest.mark.parametrize("change", [cancel, partial(modify, stop_loss=24_000, quantity=2)])
def test_a_change_that_races_a_fill_wins_or_is_told_the_trade(
    alice: Trader,
    place: Callable[..., dict[str, Any]],
    feed: ScriptedFeed,
    monitor: Monitor,
    change: Callable[..., TestResponse],
) -> None:
    trades = [place(24_900 - number) for number in range(AT_ONCE // 2)]
    feed.tick("^NSEI", 24_850)

    calls: list[Callable[[], Any]] = [partial(change, alice, trade) for trade in trades]
    _, *answers = run_concurrently([monitor.run_once, *calls])

    for trade, answer in zip(trades, answers, strict=True):
        now = show(alice, trade["trade_id"])
        if answer.status_code == 200:
            expected = "CANCELLED" if change is cancel else "ACTIVE"
            assert now["status"] == expected
        else:
            details = assert_error(answer, 409, answer.get_json()["code"])
            assert details["trade"]["status"] in ("ACTIVE", "PENDING")
            assert now["status"] == "ACTIVE"
    assert_portfolio_balances(alice.client_id)


def test_a_stop_is_not_lost_to_a_modification_at_the_same_time(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trades = [alice.create_trade(stop_loss=24_900).get_json() for _ in range(AT_ONCE // 2)]
    feed.tick("^NSEI", 24_890)

    calls: list[Call] = [partial(modify, alice, each, target_price=26_000) for each in trades]
    _, *answers = run_concurrently([monitor.run_once, *calls])

    assert set(statuses(answers)) <= {200, 400, 409}
    assert {trade["status"] for trade in alice.trades()} == {"STOP_LOSS_HIT"}
    assert_portfolio_balances(alice.client_id)


def test_a_level_from_before_a_change_of_the_tick_size_hinders_no_other_change(
    alice: Trader,
) -> None:
    trade = alice.create_trade(symbol="RELIANCE", stop_loss=1_390).get_json()
    earlier = {"$set": {"stop_loss": Decimal("1390.05"), "trigger_below": Decimal("1390.05")}}
    collection("trades").update_one({"_id": ObjectId(trade["trade_id"])}, earlier)

    refused = modify(alice, trade, stop_loss=1_391.05)
    assert assert_error(refused, 400, "price_off_tick")["below"] == 1_391.0
    modified = modify(alice, trade, target_price=1_410).get_json()
    assert (modified["stop_loss"], modified["target_price"]) == (1_390.05, 1_410.0)
