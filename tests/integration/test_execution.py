"""Execution: trades that ticks trigger close once, exactly, with the quote that closed them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from flask import Flask

from app.database.batches import BATCH_SIZE, all_written
from app.domain.fill import ExitReason
from app.domain.quote import Quote, Source
from app.domain.share import Share
from app.domain.side import TradeType
from app.domain.trade import TradeStatus, exit_by_user, on_quote
from app.events import events_committed
from app.models import Inbox, Notification, SymbolState, Trade, TradeChange
from app.services import services
from app.trades.execution import apply_transitions
from app.trades.exit_all import ExitedAll, exit_all
from app.trades.exits import exit_trade
from app.trades.modification import modify_trade
from app.trades.service import open_trade
from app.trades.triggers import find_triggered
from tests.support.concurrency import run_concurrently
from tests.support.execution import close_triggered
from tests.support.factories import (
    active_trades,
    assert_portfolio_balances,
    create_users,
    limit_order,
    order,
    portfolio_of,
    trades_of,
)
from tests.support.faults import recording_commands
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection

pytestmark = pytest.mark.usefixtures("app_context")


@pytest.fixture(autouse=True)
def traders(app_context: Flask) -> None:
    create_users("alice", "bob")


def exposed_symbols(client_id: str = "alice") -> set[str]:
    portfolio = collection("portfolios").find_one({"user_id": client_id})
    assert portfolio is not None
    return set(portfolio["exposure"])


def only_trade(client_id: str = "alice") -> Trade:
    (trade,) = trades_of(client_id)
    return trade


def test_a_portfolio_keeps_sums_of_symbols_with_open_trades_only(feed: ScriptedFeed) -> None:
    for symbol in ("^NSEI", "^NSEI", "RELIANCE.NS", "^BSESN"):
        open_trade("alice", order(symbol))
    first, *others = trades_of("alice")

    exit_trade("alice", str(first.id))
    assert exposed_symbols() == {"^NSEI", "RELIANCE:NS", "^BSESN"}
    exit_trade("alice", str(others[1].id))
    assert exposed_symbols() == {"^NSEI", "^BSESN"}
    exit_all("alice")
    assert exposed_symbols() == set()
    open_trade("alice", order("RELIANCE.NS", quantity=2))
    assert exposed_symbols() == {"RELIANCE:NS"}
    assert_portfolio_balances("alice")


def test_a_buy_and_a_sell_of_the_same_quantity_stay_until_both_are_closed() -> None:
    for trade_type in (TradeType.BUY, TradeType.SELL):
        open_trade("alice", order(trade_type=trade_type))
    assert exposed_symbols() == {"^NSEI"}

    exit_all("alice")

    assert exposed_symbols() == set()


def test_one_falling_tick_closes_more_trades_than_fit_in_a_batch(feed: ScriptedFeed) -> None:
    count = BATCH_SIZE + 10
    for n in range(count):
        user_id = "alice" if n % 3 else "bob"
        open_trade(user_id, order(quantity=n % 7 + 1, stop_loss=24_990))
    open_trade("alice", order(stop_loss=24_000))

    closed = close_triggered([feed.set("^NSEI", "24989.95")])

    loss = Decimal("10.05")
    quantities = {"alice": [n % 7 + 1 for n in range(count) if n % 3]}
    quantities["bob"] = [n % 7 + 1 for n in range(count) if not n % 3]
    assert closed == count
    for user_id, its in quantities.items():
        assert portfolio_of(user_id).total_pnl == -loss * sum(its)
        assert_portfolio_balances(user_id)
    assert portfolio_of("bob").utilized_margin == 0
    assert len(active_trades("alice")) == 1
    inbox = Inbox.find("alice")
    assert inbox is not None
    assert inbox.event_seq == 1 + 2 * len(quantities["alice"])


def test_a_batch_with_many_trades_that_were_changed_meanwhile_takes_two_transactions(
    feed: ScriptedFeed,
) -> None:
    opened = [
        open_trade("alice" if number % 2 else "bob", order(quantity=2, stop_loss=24_990))
        for number in range(40)
    ]
    changes = find_triggered(services().quotes.update([feed.set("^NSEI", 24_980)]))
    assert len(changes) == 40
    for number, trade in enumerate(opened[:30]):
        match number % 3:
            case 0:
                exit_trade(trade.user_id, str(trade.id))
            case 1:
                modify_trade(trade.user_id, str(trade.id), {"stop_loss": Decimal(24_900)})
            case 2:
                exit_trade(trade.user_id, str(trade.id), share=Share(quantity=1))

    with recording_commands() as commands:
        written = all_written(apply_transitions(changes))

    ends = {"commitTransaction", "abortTransaction"}
    assert sum(not ends.isdisjoint(command) for command in commands) == 2
    # Ten were over, and ten have a stop-loss that the price did not reach.
    closed = [trade.id for number, trade in enumerate(opened) if number >= 30 or number % 3 == 2]
    assert [item.trade.id for item in written] == closed
    assert {item.exit.quantity for item in written if item.exit} == {1, 2}
    statuses = Counter(trade.status for user in ("alice", "bob") for trade in trades_of(user))
    assert statuses == {
        TradeStatus.CLOSED: 10,
        TradeStatus.ACTIVE: 10,
        TradeStatus.STOP_LOSS_HIT: 20,
    }
    for user in ("alice", "bob"):
        assert_portfolio_balances(user)


def test_each_closed_trade_has_one_event_in_its_users_order() -> None:
    for _ in range(25):
        open_trade("alice", order(stop_loss=24_990))
        open_trade("bob", order(stop_loss=24_990))
    feed = services().feed
    assert isinstance(feed, ScriptedFeed)

    close_triggered([feed.set("^NSEI", 24_000)])

    for user_id in ("alice", "bob"):
        inbox = Inbox.find(user_id)
        assert inbox is not None
        events = Notification.find_after(user_id, 0, inbox.event_seq)
        assert [event.seq for event in events] == list(range(1, inbox.event_seq + 1))
        trade_ids = [
            event.data["trade_id"] for event in events if event.type == "trade_auto_closed"
        ]
        assert sorted(trade_ids) == sorted(str(trade.id) for trade in trades_of(user_id))


def test_a_closed_trade_stores_the_quote_that_closed_it(
    feed: ScriptedFeed, clock: ManualClock
) -> None:
    open_trade("alice", order(trade_type=TradeType.SELL, quantity=4, target_price=24_900))
    clock.advance(30)
    tick = feed.set("^NSEI", "24899.90")
    clock.advance(2)

    assert close_triggered([tick]) == 1

    trade = only_trade()
    assert trade.status is TradeStatus.TARGET_HIT
    assert trade.exit is not None
    assert (trade.exit.quote, trade.exit.reason) == (tick, ExitReason.TARGET)
    assert (trade.exit.price, trade.exit.pnl) == (Decimal(24_900), Decimal(400))
    assert trade.closed_at == tick.timestamp + timedelta(seconds=2)
    event = Notification.find_after("alice", 1, 2)[0]
    assert event.type == "trade_auto_closed"
    assert event.data["quote"] == {
        "price": Decimal("24899.90"),
        "source": "mock",
        "timestamp": tick.timestamp,
    }
    assert (event.data["reason"], event.data["pnl"]) == ("target", Decimal(400))
    assert event.data["exit_price"] == 24_900
    assert "a profit of ₹400.00" in event.message


def test_the_first_tick_that_reaches_a_level_closes_the_trade(feed: ScriptedFeed) -> None:
    open_trade("alice", order(stop_loss=24_990, target_price=25_010))
    ticks = [feed.set("^NSEI", price) for price in (25_005, 25_012, 24_000, 26_000)]

    assert close_triggered(ticks) == 1

    trade = only_trade()
    assert trade.status is TradeStatus.TARGET_HIT
    assert trade.exit is not None
    assert (trade.exit.price, trade.exit.quote.price) == (Decimal(25_010), Decimal(25_012))


def test_trades_close_in_the_order_of_the_ticks_that_closed_them(feed: ScriptedFeed) -> None:
    late = open_trade("alice", order(stop_loss=24_900))
    other = open_trade("alice", order("RELIANCE.NS", target_price=1_410))
    early = open_trade("alice", order(stop_loss=24_990))
    ticks = [
        feed.set("^NSEI", 24_985),
        feed.set("RELIANCE.NS", 1_411),
        feed.set("^NSEI", 24_800),
    ]

    assert close_triggered(ticks) == 3

    trade_ids = [event.data["trade_id"] for event in Notification.find_after("alice", 3, 6)]
    assert trade_ids == [str(each.id) for each in (early, other, late)]


def test_ticks_that_reach_no_level_close_nothing(feed: ScriptedFeed) -> None:
    open_trade("alice", order(stop_loss=24_990))
    open_trade("alice", order())

    assert close_triggered([feed.set("^NSEI", "24990.05"), feed.set("^BSESN", 1)]) == 0
    assert close_triggered([]) == 0
    assert_portfolio_balances("alice")


@pytest.mark.parametrize("real", [Source.YAHOO, Source.ANGEL_ONE])
def test_a_trade_opened_at_a_real_price_never_closes_at_a_mock_one(
    feed: ScriptedFeed, real: Source
) -> None:
    feed.source = real
    feed.set("^NSEI", 25_000)
    open_trade("alice", order(stop_loss=24_990))

    feed.source = Source.MOCK
    assert close_triggered([feed.set("^NSEI", 24_000)]) == 0
    assert only_trade().status is TradeStatus.ACTIVE
    feed.source = real
    assert close_triggered([feed.set("^NSEI", 24_500)]) == 1


def test_a_trade_closed_in_the_meantime_is_not_closed_again(feed: ScriptedFeed) -> None:
    trade = open_trade("alice", order(stop_loss=24_990))
    other = open_trade("alice", order(stop_loss=24_990))
    tick = feed.set("^NSEI", 24_000)
    exits = [TradeChange(each, exit_by_user(each, tick)) for each in (trade, other)]
    exit_trade("alice", str(trade.id))

    closed = all_written(apply_transitions(exits))

    assert [each.trade.id for each in closed] == [other.id]
    assert all_written(apply_transitions(exits)) == []
    assert_portfolio_balances("alice")


def test_trades_that_are_filled_and_closed_at_once_share_a_transaction(feed: ScriptedFeed) -> None:
    bought = replace(limit_order(24_900), stop_loss=Decimal("24800.00"))
    trades = [open_trade("alice", bought) for _ in range(3)]
    ticks = [feed.set("^NSEI", price) for price in (24_900, 24_700)]
    changes = []
    for trade in trades:
        filled = on_quote(trade, ticks[0])
        assert filled is not None
        held = trade.after(filled)
        assert held is not None
        closed = on_quote(held, ticks[1])
        assert closed is not None
        changes += [TradeChange(trade, filled), TradeChange(held, closed)]

    assert len(list(apply_transitions(changes))) == 1

    assert {trade.status for trade in trades_of("alice")} == {TradeStatus.STOP_LOSS_HIT}
    assert_portfolio_balances("alice")


def test_a_stop_loss_and_a_concurrent_exit_close_a_trade_once(
    app_context: Flask, feed: ScriptedFeed
) -> None:
    trade = open_trade("alice", order(stop_loss=24_990))
    tick = feed.set("^NSEI", 24_000)

    def settle() -> int:
        with app_context.app_context():
            return close_triggered([tick])

    def leave() -> int:
        with app_context.app_context():
            return len(
                all_written(apply_transitions([TradeChange(trade, exit_by_user(trade, tick))]))
            )

    assert sum(run_concurrently([settle, leave, settle, leave])) == 1
    assert_portfolio_balances("alice")


def test_two_ticks_settled_concurrently_close_each_trade_once(
    app_context: Flask, feed: ScriptedFeed
) -> None:
    for _ in range(20):
        open_trade("alice", order(stop_loss=24_990))
        open_trade("bob", order(stop_loss=24_990))
    ticks = [feed.set("^NSEI", price) for price in (24_900, 24_800)]

    def settle(tick: Quote) -> int:
        with app_context.app_context():
            return close_triggered([tick])

    assert sum(run_concurrently([lambda: settle(ticks[0]), lambda: settle(ticks[1])])) == 40
    assert_portfolio_balances("alice")
    assert_portfolio_balances("bob")


def test_exit_all_closes_open_trades_and_returns_the_sums(feed: ScriptedFeed) -> None:
    open_trade("alice", order(quantity=2))
    open_trade("alice", order(trade_type=TradeType.SELL, quantity=3))
    open_trade("bob", order())
    feed.set("^NSEI", "25000.50")
    services().quotes.update([feed.set("^NSEI", "25000.50")])

    assert exit_all("alice") == ExitedAll(2, Decimal("-0.50"), [])
    assert exit_all("alice") == ExitedAll(0, Decimal(0), [])
    assert_portfolio_balances("alice")
    assert only_trade("bob").status is TradeStatus.ACTIVE


def test_one_faulty_trade_does_not_stop_the_others_of_its_batch(feed: ScriptedFeed) -> None:
    trades = [open_trade("alice", order(stop_loss=24_990)) for _ in range(9)]
    bad = trades[4]
    # The database refuses to add to a value that is not a number.
    tick = feed.set("^NSEI", 24_000)
    of_bob = {"user_id": "bob", "portfolio_id": portfolio_of("bob").id, "number": 99}
    collection("portfolios").update_one({"user_id": "bob"}, {"$set": {"available_margin": "much"}})
    collection("trades").update_one({"_id": bad.id}, {"$set": of_bob})

    assert close_triggered([tick]) == 8

    still = {
        each.id for user_id in ("alice", "bob") for each in trades_of(user_id) if not each.exit
    }
    assert still == {bad.id}


def test_published_events_are_committed(app_context: Flask, feed: ScriptedFeed) -> None:
    received: list[tuple[str, TradeStatus]] = []

    def listen(_sender: Flask, events: list[Notification]) -> None:
        received.extend((event.type, only_trade().status) for event in events)

    events_committed.connect(listen, sender=app_context)
    open_trade("alice", order(stop_loss=24_990))
    close_triggered([feed.set("^NSEI", 24_000)])

    assert received == [
        ("trade_created", TradeStatus.ACTIVE),
        ("trade_auto_closed", TradeStatus.STOP_LOSS_HIT),
    ]


def test_a_failing_listener_undoes_nothing_and_does_not_stop_the_others(
    app_context: Flask,
) -> None:
    received: list[str] = []

    def broken(_sender: Flask, events: list[Notification]) -> None:
        raise RuntimeError("deaf")

    def listen(_sender: Flask, events: list[Notification]) -> None:
        received.extend(event.type for event in events)

    events_committed.connect(broken, sender=app_context)
    events_committed.connect(listen, sender=app_context)

    open_trade("alice", order())

    assert received == ["trade_created"]
    assert only_trade().status is TradeStatus.ACTIVE


def test_a_symbol_is_polled_before_its_first_trade_is_written() -> None:
    open_trade("alice", order("reliance", quantity=1))

    assert SymbolState.find_traded() == {"RELIANCE.NS"}
    assert "RELIANCE.NS" in services().polled_symbols.symbols()
