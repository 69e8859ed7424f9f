"""Cancelling orders that wait."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from app.monitor import Monitor
from tests.support.changes import AT_ONCE, cancel, events, move, show, statuses
from tests.support.concurrency import run_concurrently
from tests.support.factories import assert_portfolio_balances
from tests.support.market import ScriptedFeed
from tests.support.responses import assert_error
from tests.support.retries import assert_same
from tests.support.users import Trader


def test_cancelling_an_order_releases_its_margin(
    alice: Trader,
    place: Callable[..., dict[str, Any]],
    feed: ScriptedFeed,
    monitor: Monitor,
) -> None:
    trade = place(24_900)

    body = cancel(alice, trade).get_json()

    assert (body["status"], body["end_reason"]) == ("CANCELLED", "user")
    portfolio = alice.portfolio()
    assert (portfolio["available_margin"], portfolio["utilized_margin"]) == (100_000.0, 0.0)
    (event,) = events(alice, "trade_cancelled")
    assert (event["trade_id"], event["margin_released"]) == (trade["trade_id"], 4_980)
    move(feed, monitor, 24_000)
    assert show(alice, trade["trade_id"])["status"] == "CANCELLED"
    assert_portfolio_balances(alice.client_id)


def test_a_second_cancel_releases_nothing(
    alice: Trader, place: Callable[..., dict[str, Any]]
) -> None:
    trade = place(24_900)
    first = cancel(alice, trade, "k")

    details = assert_error(cancel(alice, trade), 409, "not_pending")
    assert details["trade"]["status"] == "CANCELLED"
    assert_same(cancel(alice, trade, "k"), first)
    assert alice.portfolio()["available_margin"] == 100_000.0
    assert_portfolio_balances(alice.client_id)


def test_a_filled_order_cannot_be_cancelled(
    alice: Trader,
    place: Callable[..., dict[str, Any]],
    feed: ScriptedFeed,
    monitor: Monitor,
) -> None:
    trade = place(24_900)
    move(feed, monitor, 24_850)

    details = assert_error(cancel(alice, trade), 409, "not_pending")

    assert (details["trade"]["status"], details["trade"]["entry_price"]) == ("ACTIVE", 24_900.0)
    assert alice.portfolio()["utilized_margin"] == 4_980.0
    assert_portfolio_balances(alice.client_id)


def test_twenty_cancels_at_once_release_the_margin_once(
    alice: Trader, place: Callable[..., dict[str, Any]]
) -> None:
    trade = place(24_900)

    calls: list[Callable[[], Any]] = [partial(cancel, alice, trade) for _ in range(AT_ONCE)]
    answers = run_concurrently(calls)

    assert statuses(answers) == {200: 1, 409: AT_ONCE - 1}
    assert alice.portfolio()["available_margin"] == 100_000.0
    assert len(events(alice, "trade_cancelled")) == 1
    assert_portfolio_balances(alice.client_id)
