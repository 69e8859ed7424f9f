"""Corporate actions are applied once: after a crash, a gap, and if they are known late."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

import pytest
from flask import Flask

from app.database.batches import LeaseLost
from app.domain.money import ZERO
from app.models.stored_action import find_settled_early
from app.monitor import Monitor
from app.portfolio.reconciliation import find_differences
from app.services import now, services
from app.trades.adjusting import adjust_trades
from app.trades.trailing import TrailingStops
from tests.support.corporate_actions import (
    OPEN,
    SHARE,
    SKIPS_REFRESH,
    At,
    announce,
    assert_exact,
    bought,
    show,
)
from tests.support.database_state import documents
from tests.support.exchange_time import advance_to, ist
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.users import Trader


def test_an_action_counts_once_whoever_applies_it_again(
    app: Flask, alice: Trader, at: At, clock: ManualClock, feed: ScriptedFeed
) -> None:
    trade = bought(alice, stop_loss=1_300)
    action = announce()
    at("2026-11-24 15:29", 1_400)
    # A leader that is killed after the trades, and before anything else.
    assert adjust_trades(action, ZERO, TrailingStops("board", clock)) == 1

    at(OPEN, 700)
    clock.advance(SKIPS_REFRESH)
    other = Monitor(app)
    feed.tick(SHARE, 701)
    other.run_once()

    assert show(alice, trade)["quantity"] == 200
    assert len(show(alice, trade)["adjustments"]) == 1
    assert len(documents("notifications", type="trade_adjusted")) == 1
    assert_exact(alice, trade)


def test_a_leader_that_is_stopped_halfway_leaves_the_rest_to_the_next(
    app: Flask, alice: Trader, bob: Trader, at: At, clock: ManualClock
) -> None:
    trades = {trader.client_id: bought(trader) for trader in (alice, bob)}
    action = announce()
    at("2026-11-24 15:29", 1_400)
    app.config["WRITE_BATCH_SIZE"] = 1
    transactions = 0

    def lose_the_second(_symbols: Collection[str]) -> None:
        nonlocal transactions
        transactions += 1
        if transactions == 2:
            raise LeaseLost

    with pytest.raises(LeaseLost):
        adjust_trades(action, Decimal(1_400), TrailingStops("board", clock), lose_the_second)
    assert len(documents("notifications", type="trade_adjusted")) == 1

    at(OPEN, 700)

    for trader in (alice, bob):
        shown = show(trader, trades[trader.client_id])
        assert (shown["quantity"], len(shown["adjustments"])) == (200, 1)
        assert find_differences(trader.client_id) == []
    assert len(documents("notifications", type="trade_adjusted")) == 2


def test_an_action_is_done_once_no_trade_can_be_missed(
    alice: Trader, at: At, clock: ManualClock, monitor: Monitor
) -> None:
    bought(alice)
    announce()
    at(OPEN, 700)
    assert documents("corporate_actions", symbol=SHARE)[0].get("applied_at") is None

    for _ in range(6):
        clock.advance(200)
        monitor.run_once()

    assert documents("corporate_actions", symbol=SHARE)[0]["applied_at"] == now()


def test_a_gap_across_the_ex_date_meets_each_price_with_its_own_levels(
    alice: Trader,
    bob: Trader,
    feed: ScriptedFeed,
    clock: ManualClock,
    monitor: Monitor,
) -> None:
    tight, wide = bought(alice, stop_loss=1_395), bought(bob, stop_loss=1_300)
    announce()
    clock.advance(1)
    monitor.run_once()
    feed.record(SHARE, ist("2026-11-24 15:00"), 1_400, 1_390, 1_410)
    feed.record(SHARE, ist("2026-11-25 09:15"), 705, 690, 700)
    feed.record(SHARE, ist("2026-11-25 09:16"), 700, 640, 645)
    advance_to(clock, ist("2026-11-25 10:00"))

    assert monitor.settle_gap() == 2

    shown = show(alice, tight)
    assert (shown["quantity"], shown["exit_price"]) == (100, 1_395.0)
    shown = show(bob, wide)
    assert (shown["quantity"], shown["exit_price"], shown["pnl"]) == (200, 650.0, -10_000.0)
    assert shown["settled_from"] == "gap"
    assert find_differences(alice.client_id) == find_differences(bob.client_id) == []


def test_an_action_known_after_the_open_releases_the_held_tick(
    alice: Trader, at: At, clock: ManualClock, monitor: Monitor, feed: ScriptedFeed
) -> None:
    trade = bought(alice, stop_loss=1_300)
    at("2026-11-24 15:29", 1_400)
    at(OPEN, 700)
    assert SHARE in services().quotes.tick_filter.pending

    announce()
    clock.advance(SKIPS_REFRESH)
    monitor.run_once()

    assert services().quotes.tick_filter.pending == {}
    assert show(alice, trade)["status"] == "ACTIVE"
    assert show(alice, trade)["quantity"] == 200


def test_what_fired_before_the_action_was_known_is_reported_and_not_undone(
    alice: Trader, at: At
) -> None:
    trade = bought(alice, stop_loss=1_300)
    at("2026-11-24 15:29", 1_400)
    for second in range(4):
        at(f"2026-11-25 09:15:{second:02}", 700 + second)
    assert show(alice, trade)["status"] == "STOP_LOSS_HIT"

    action = announce()

    assert [str(each.id) for each in find_settled_early(action)] == [trade["trade_id"]]
    at("2026-11-25 09:16", 705)
    assert show(alice, trade)["quantity"] == 100


def test_a_trade_that_waits_for_its_adjustment_is_not_exited(
    alice: Trader, at: At, feed: ScriptedFeed, clock: ManualClock
) -> None:
    trade = bought(alice)
    announce()
    at("2026-11-24 15:29", 1_400)
    advance_to(clock, ist(OPEN))
    feed.tick(SHARE, 700)

    answer = alice.post(f"/trades/exit/{trade['trade_id']}")

    assert_error(answer, 503, "market_data_unavailable")
