"""A process that has started its database asks it what is announced only if it has announced it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest
from flask import Flask
from pymongo.errors import AutoReconnect

from app.alerts.service import set_alert
from app.database import Document
from app.domain.bounds import Bounds
from app.domain.order import Order
from app.domain.trade import TradeStatus
from app.market_data.polled_symbols import PolledSymbols
from app.models.stored_bounds import StoredBounds
from app.monitor import Monitor
from app.services import services
from app.trades.modification import modify_trade
from app.trades.service import open_trade
from tests.support.database_state import documents
from tests.support.factories import create_users, order, trades_of
from tests.support.faults import before_command, before_commands, recording_commands
from tests.support.market import ManualClock, ScriptedFeed

pytestmark = pytest.mark.usefixtures("app_context")
SYMBOL = "^NSEI"
ASKED = ["find trails", "find bounds"]


@pytest.fixture
def monitor(app_context: Flask) -> Monitor:
    return Monitor(app_context, owns_database=True)


@pytest.fixture
def settle(feed: ScriptedFeed, monitor: Monitor) -> Callable[..., list[str]]:
    """Return a function that settles pushed ticks, and returns the commands of the pass."""

    def settle(*prices: int) -> list[str]:
        for price in prices:
            feed.push(SYMBOL, price)
        with recording_commands() as commands:
            monitor.run_arrived()
        return [named(each) for each in commands]

    return settle


@pytest.fixture(autouse=True)
def trader(app_context: Flask, feed: ScriptedFeed, settle: Callable[..., list[str]]) -> None:
    """A user with a trade and an alert, whose bounds the monitor knows."""
    create_users("alice")
    services().quotes.update([feed.set(SYMBOL, 25_000)])
    open_trade("alice", order(stop_loss=24_960, target_price=25_050))
    set_alert("alice", SYMBOL, above=Decimal(25_040))
    settle(25_000)


@pytest.fixture
def widened() -> None:
    """Widen the bounds to the first level of `trailing_order`, which then only has a mark."""
    open_trade("alice", order(stop_loss=24_990))


def named(command: Document) -> str:
    """Return a command and its collection."""
    return " ".join(map(str, next(iter(command.items()))))


def trailing_order() -> Order:
    return replace(order(), trailing_offset=Decimal(10))


def statuses() -> list[TradeStatus]:
    return [trade.status for trade in trades_of("alice")]


def test_a_lone_tick_with_nothing_due_sends_no_command(settle: Callable[..., list[str]]) -> None:
    assert settle(25_001) == []
    assert settle(25_039, 24_961, 25_000) == []


def test_a_process_that_has_not_started_the_database_asks_in_each_pass(
    app: Flask, feed: ScriptedFeed
) -> None:
    monitor = Monitor(app)
    for price in (25_000, 25_001):
        feed.push(SYMBOL, price)
        with recording_commands() as commands:
            monitor.run_arrived()

    assert list(map(named, commands)) == ASKED


def test_it_asks_in_each_pass_while_another_process_shares_its_quotes(
    settle: Callable[..., list[str]], monitor: Monitor, clock: ManualClock
) -> None:
    other = PolledSymbols()
    other.announce(30)
    monitor.run_once()
    assert set(ASKED) <= set(settle(25_001))
    # As another process does.
    StoredBounds.widen({SYMBOL: Bounds(below=Decimal(24_990))})
    assert "find trades" in settle(24_990)

    other.withdraw()
    monitor.run_once()
    assert settle(25_002) == []


def test_a_full_pass_learns_what_a_command_has_announced(
    settle: Callable[..., list[str]], monitor: Monitor
) -> None:
    StoredBounds.widen({SYMBOL: Bounds(below=Decimal(24_990))})
    assert settle(24_990) == []
    monitor.run_once()

    assert "find trades" in settle(24_990)


def test_what_this_process_announces_is_known_to_its_next_pass(
    settle: Callable[..., list[str]],
) -> None:
    (trade,) = trades_of("alice")
    modify_trade("alice", str(trade.id), {"stop_loss": Decimal(24_990)})
    open_trade("alice", order(stop_loss=24_980))
    settle(24_990)
    assert statuses() == [TradeStatus.STOP_LOSS_HIT, TradeStatus.ACTIVE]

    set_alert("alice", SYMBOL, below=Decimal(24_985))
    settle(24_985)
    assert [each["status"] for each in documents("alerts")] == ["ACTIVE", "TRIGGERED"]


def test_bounds_are_known_before_the_trade_is_written(settle: Callable[..., list[str]]) -> None:
    sent: list[str] = []

    def watch(command: Document) -> None:
        sent.append(named(command))
        if sent[-1] == "insert trades":
            # Not in this thread, whose commands belong to the transaction.
            pool.submit(settle, 25_001).result()

    with ThreadPoolExecutor(1) as pool, before_commands(watch):
        open_trade("alice", order(stop_loss=24_990))

    assert sent[sent.index("insert trades") :][1:3] == ASKED


def test_a_pass_just_before_bounds_are_widened_hides_them_from_no_later_one(
    settle: Callable[..., list[str]],
) -> None:
    with before_command("update", "bounds", lambda: settle(25_000)):
        open_trade("alice", order(stop_loss=24_990))
    settle(24_990)

    assert statuses()[-1] is TradeStatus.STOP_LOSS_HIT


def test_a_pass_just_before_a_trailing_stop_is_marked_hides_it_from_no_later_one(
    settle: Callable[..., list[str]], widened: None
) -> None:
    with before_command("update", "trails", lambda: settle(25_000)):
        open_trade("alice", trailing_order())
    settle(25_030)
    settle(25_020)

    assert statuses()[-1] is TradeStatus.TRAILING_STOP_HIT


def test_what_is_announced_while_a_pass_asks_is_known_to_the_next(
    settle: Callable[..., list[str]], widened: None
) -> None:
    # The pass has read the marks of trailing stops by then.
    with before_command("find", "bounds", lambda: open_trade("alice", trailing_order())):
        settle(25_000)
    settle(25_030)
    settle(25_020)

    assert statuses()[-1] is TradeStatus.TRAILING_STOP_HIT


def test_a_pass_that_failed_to_ask_is_followed_by_one_that_asks(
    settle: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_trade("alice", order(stop_loss=24_990))

    def fail() -> None:
        raise AutoReconnect("the database is unavailable")

    with monkeypatch.context() as broken:
        broken.setattr(StoredBounds, "find_versions", fail)
        with pytest.raises(AutoReconnect):
            settle(24_990)
    settle()

    assert statuses()[-1] is TradeStatus.STOP_LOSS_HIT
