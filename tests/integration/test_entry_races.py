"""Entries that two writers change at the same time: one wins, and each rupee is counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from flask import Flask

from app.database.batches import ClaimLost, all_written
from app.domain.entry import Entered, Triggered
from app.domain.order import OrderType, TimeInForce
from app.domain.trade import EndReason, TradeStatus, end_entry
from app.events import events_committed
from app.models import SHARES, Notification, Trade, TradeChange
from app.models.pending import find_expired
from app.monitor import Monitor
from app.services import services
from app.trades.endings import expire_entries
from app.trades.execution import apply_batch, apply_transitions
from app.trades.modification import modify_trade
from app.trades.service import open_trade, settle_ticks_since
from app.trades.triggers import find_triggered
from tests.support.concurrency import run_concurrently
from tests.support.database_state import assert_invariants, documents
from tests.support.execution import close_triggered
from tests.support.factories import create_users, limit_order, portfolio_of, trades_of
from tests.support.market import ManualClock, ScriptedFeed

pytestmark = pytest.mark.usefixtures("app_context")
AT_ONCE = 20


@pytest.fixture(autouse=True)
def traders(app_context: Flask) -> None:
    create_users("alice", "bob")


def only_trade() -> Trade:
    (trade,) = trades_of("alice")
    return trade


def event_types() -> Counter[str]:
    return Counter(event["type"] for event in documents("notifications", user_id="alice"))


def at_once(app: Flask, work: Callable[[], object], times: int = AT_ONCE) -> None:
    """Do the work in many threads at the same moment."""

    def run() -> None:
        with app.app_context():
            work()

    run_concurrently([run] * times)


def test_two_readers_of_one_tick_fill_an_entry_once(feed: ScriptedFeed, app: Flask) -> None:
    open_trade("alice", limit_order(24_900, quantity=2))
    (tick,) = services().quotes.update([feed.set("^NSEI", 24_850)])
    # Each has read the entry before any of them writes.
    changes = find_triggered([tick])

    at_once(app, lambda: list(apply_transitions(changes)))

    assert only_trade().status is TradeStatus.ACTIVE
    assert event_types() == {"trade_created": 1, "trade_filled": 1}
    assert portfolio_of("alice").utilized_margin == 9_960
    assert portfolio_of("alice").exposure["^NSEI"].quantity == 2
    assert_invariants("alice")


def test_an_order_whose_trigger_the_user_moves_meanwhile_is_not_filled_as_if_triggered(
    feed: ScriptedFeed,
) -> None:
    stop_limit = limit_order(25_050, order_type=OrderType.STOP_LIMIT, stop_price=25_100)
    waiting = open_trade("alice", stop_limit)
    prices = [feed.tick("^NSEI", price) for price in (25_110, 25_040)]
    changes = find_triggered(services().quotes.update(prices))
    assert [type(item.transition.change) for item in changes] == [Triggered, Entered]
    # The change by the user has the version that the trigger would have had.
    modify_trade("alice", str(waiting.id), {"stop_price": Decimal(25_200)})

    assert all_written(apply_transitions(changes)) == []

    assert only_trade().status is TradeStatus.PENDING
    assert event_types() == {"trade_created": 1, "trade_modified": 1}
    assert_invariants("alice")


def test_a_tick_that_would_fill_an_order_fires_its_stop_if_an_earlier_one_has_filled_it(
    feed: ScriptedFeed,
) -> None:
    open_trade("alice", replace(limit_order(24_900), stop_loss=Decimal(24_800)))
    prices = [feed.tick("^NSEI", price) for price in (24_790, 24_780)]
    earlier, later = services().quotes.update(prices)
    changes = find_triggered([later])
    all_written(apply_transitions(find_triggered([earlier])))
    assert only_trade().status is TradeStatus.ACTIVE

    all_written(apply_transitions(changes))

    assert only_trade().status is TradeStatus.STOP_LOSS_HIT
    assert only_trade().exit_price == 24_780
    assert event_types() == {"trade_created": 1, "trade_filled": 1, "trade_auto_closed": 1}
    assert_invariants("alice")


def test_a_tick_that_arrives_while_a_late_order_is_filled_closes_the_trade(
    feed: ScriptedFeed, app_context: Flask
) -> None:
    waiting = open_trade("alice", replace(limit_order(24_900), target_price=Decimal(25_000)))
    assert waiting.order
    services().quotes.update([feed.set("^NSEI", 24_890)])

    def arrive(_sender: Flask, events: list[Notification]) -> None:
        # Of the order as it was before, the monitor finds nothing at this price.
        if events[0].type == "trade_filled":
            services().quotes.update([feed.set("^NSEI", 25_010)])

    events_committed.connect(arrive, sender=app_context)
    settle_ticks_since(waiting.order.placed, waiting)

    assert only_trade().status is TradeStatus.TARGET_HIT
    assert_invariants("alice")


def test_an_entry_that_was_filled_meanwhile_is_not_cancelled_and_releases_nothing(
    feed: ScriptedFeed,
) -> None:
    waiting = open_trade("alice", limit_order(24_900))
    cancel = TradeChange(waiting, end_entry(waiting, EndReason.USER))
    close_triggered(services().quotes.update([feed.set("^NSEI", 24_850)]))

    with pytest.raises(ClaimLost):
        apply_batch([cancel])

    assert only_trade().status is TradeStatus.ACTIVE
    assert portfolio_of("alice").utilized_margin == only_trade().margin_used == 4_980
    assert_invariants("alice")


def test_a_cancelled_entry_releases_its_margin_once_and_is_not_filled(
    feed: ScriptedFeed, app: Flask
) -> None:
    waiting = open_trade("alice", limit_order(24_900))
    (tick,) = services().quotes.update([feed.set("^NSEI", 24_850)])
    fills = find_triggered([tick])
    cancel = [TradeChange(waiting, end_entry(waiting, EndReason.USER))]

    at_once(app, lambda: list(apply_transitions(cancel)))
    list(apply_transitions(fills))

    assert only_trade().status is TradeStatus.CANCELLED
    assert portfolio_of("alice").utilized_margin == 0
    assert event_types() == {"trade_created": 1, "trade_cancelled": 1}
    assert_invariants("alice")


def test_a_fill_and_a_cancellation_at_once_leave_one_of_them(
    feed: ScriptedFeed, app: Flask
) -> None:
    for _ in range(5):
        open_trade("alice", limit_order(24_900))
    (tick,) = services().quotes.update([feed.set("^NSEI", 24_850)])
    changes = find_triggered([tick])
    cancels = [TradeChange(item.trade, end_entry(item.trade, EndReason.USER)) for item in changes]
    writes = iter([changes, cancels] * (AT_ONCE // 2))

    at_once(app, lambda: list(apply_transitions(next(writes))))

    statuses = Counter(trade.status for trade in trades_of("alice"))
    assert statuses[TradeStatus.ACTIVE] + statuses[TradeStatus.CANCELLED] == 5
    assert portfolio_of("alice").utilized_margin == 4_980 * statuses[TradeStatus.ACTIVE]
    assert_invariants("alice")


def test_entries_expire_once_however_many_workers_find_them(
    app: Flask, clock: ManualClock, monitor: Monitor
) -> None:
    order = limit_order(24_900, time_in_force=TimeInForce.DAY)
    for user in ("alice", "bob"):
        open_trade(user, order)
    clock.advance(timedelta(days=2).total_seconds())
    settled_to = dict.fromkeys(range(SHARES), clock.now())

    def expire() -> None:
        expire_entries(settled_to, lambda _symbols: None)

    at_once(app, expire)

    for user in ("alice", "bob"):
        (trade,) = trades_of(user)
        assert trade.status is TradeStatus.EXPIRED
        assert portfolio_of(user).utilized_margin == 0
        assert_invariants(user)
    assert event_types() == {"trade_created": 1, "trade_expired": 1}


def test_entries_expire_only_up_to_when_their_prices_are_settled(clock: ManualClock) -> None:
    open_trade("alice", limit_order(24_900))
    clock.advance(timedelta(days=364).total_seconds())
    settled_to = dict.fromkeys(range(SHARES), clock.now())
    assert expire_entries(settled_to, lambda _symbols: None) == 0
    clock.advance(timedelta(days=1).total_seconds())

    # The prices of its share are still those of a day before.
    assert expire_entries(settled_to, lambda _symbols: None) == 0
    assert expire_entries({}, lambda _symbols: None) == 0
    settled_to = dict.fromkeys(range(SHARES), clock.now())
    assert expire_entries(settled_to, lambda _symbols: None) == 1
    assert list(find_expired(clock.now())) == []


def test_a_pass_settles_a_gap_before_it_expires_what_waits(
    clock: ManualClock, feed: ScriptedFeed, monitor: Monitor
) -> None:
    monitor.run_if_leased()
    order = limit_order(24_900, time_in_force=TimeInForce.DAY)
    open_trade("alice", order)
    open_trade("bob", limit_order(24_000, time_in_force=TimeInForce.DAY))
    feed.record("^NSEI", clock.now() + timedelta(minutes=5), 25_000, 24_850)
    clock.advance(timedelta(days=2).total_seconds())

    monitor.settle_gap()
    monitor.run_if_leased()

    assert only_trade().status is TradeStatus.ACTIVE
    assert only_trade().entered.entry_price == 24_900
    (missed,) = trades_of("bob")
    assert missed.status is TradeStatus.EXPIRED


def test_a_stop_limit_that_was_triggered_before_a_gap_is_filled_in_it(
    clock: ManualClock, feed: ScriptedFeed, monitor: Monitor
) -> None:
    monitor.run_if_leased()
    stop_limit = limit_order(25_200, order_type=OrderType.STOP_LIMIT, stop_price=25_100)
    open_trade("alice", stop_limit)
    clock.advance(10)
    feed.tick("^NSEI", 25_500)
    monitor.run_if_leased()
    assert only_trade().order is not None
    clock.advance(600)
    feed.record("^NSEI", clock.now() - timedelta(minutes=5), 25_400, 25_150, 25_300)

    monitor.settle_gap()

    trade = only_trade()
    assert trade.status is TradeStatus.ACTIVE
    assert trade.entered.entry_price == 25_200
    assert trade.order is not None
    assert trade.order.triggered_at is not None
    assert_invariants("alice")
