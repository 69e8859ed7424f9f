"""Bounds: ticks between them cost no query, and nothing waits between them, whatever happens."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import cycle

import pytest
from click.testing import Result
from flask import Flask
from pymongo.errors import AutoReconnect, ExecutionTimeout

from app.alerts.service import change_alert, delete_alert, set_alert
from app.domain.errors import PaperTradingError
from app.domain.trade import TradeStatus
from app.market_data.price_bounds import REUSE_SECONDS, SETTLED_SECONDS, WIDENED_SECONDS
from app.monitor import Monitor
from app.services import services
from app.trades.modification import cancel_trade, modify_trade
from app.trades.service import open_trade
from tests.support.bounds import assert_bounds_hold, bounds_of
from tests.support.concurrency import run_concurrently
from tests.support.database_state import documents
from tests.support.factories import create_users, limit_order, order, trades_of
from tests.support.faults import before_command, recording_commands
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection

pytestmark = pytest.mark.usefixtures("app_context")
SYMBOL = "^NSEI"
AT_ONCE = 20


@pytest.fixture(autouse=True)
def trader(app_context: Flask, feed: ScriptedFeed) -> None:
    create_users("alice")
    services().quotes.update([feed.set(SYMBOL, 25_000)])


@pytest.fixture
def monitor(app_context: Flask) -> Monitor:
    return Monitor(app_context)


@pytest.fixture
def settle(feed: ScriptedFeed, monitor: Monitor) -> Callable[..., list[str]]:
    """Return a function that settles ticks, and returns the collections it searched for them."""

    def settle(*prices: int) -> list[str]:
        for price in prices:
            feed.tick(SYMBOL, price)
        with recording_commands() as commands:
            monitor.run_once()
        searches = [each for each in commands if each.get("filter", {}).get("symbol") == SYMBOL]
        return [each["find"] for each in searches if "sort" not in each]

    return settle


def test_a_tick_between_the_bounds_costs_no_query(settle: Callable[..., list[str]]) -> None:
    open_trade("alice", order(stop_loss=24_960, target_price=25_050))
    set_alert("alice", SYMBOL, above=Decimal(25_040))
    settle(25_000)
    assert bounds_of(SYMBOL) == (Decimal(24_960), Decimal(25_040))

    assert settle(24_961, 25_039) == []
    assert sorted(settle(25_040)) == ["alerts", "alerts", "trades", "trades"]
    assert bounds_of(SYMBOL) == (Decimal(24_960), Decimal(25_040)), "what was widened lately stays"


def test_ticks_are_looked_at_while_the_bounds_are_unknown(
    settle: Callable[..., list[str]],
) -> None:
    open_trade("alice", order(stop_loss=24_990))
    assert bounds_of(SYMBOL) is None

    assert settle(24_990).count("trades") == 2
    assert trades_of("alice")[0].status is TradeStatus.STOP_LOSS_HIT


def test_what_another_process_writes_is_found_by_the_next_tick(
    settle: Callable[..., list[str]], make_app: Callable[..., Flask], feed: ScriptedFeed
) -> None:
    settle(25_000)
    services().quotes.update([feed.set(SYMBOL, 25_000)])
    # The memory of the monitor knows nothing of it.
    open_trade("alice", order(stop_loss=24_999))

    assert settle(24_999).count("trades") == 2
    assert trades_of("alice")[0].status is TradeStatus.STOP_LOSS_HIT


def test_a_level_that_is_modified_widens_the_bounds(settle: Callable[..., list[str]]) -> None:
    trade = open_trade("alice", order(stop_loss=24_000))
    settle(25_000)
    modify_trade("alice", str(trade.id), {"stop_loss": Decimal(24_999)})
    assert_bounds_hold()

    settle(24_999)
    assert trades_of("alice")[0].status is TradeStatus.STOP_LOSS_HIT


def test_an_alert_that_is_moved_widens_the_bounds(settle: Callable[..., list[str]]) -> None:
    alert = set_alert("alice", SYMBOL, above=Decimal(26_000))
    settle(25_000)
    change_alert("alice", str(alert.id), {"above": Decimal(25_001)})
    assert_bounds_hold()

    assert settle(25_001).count("alerts") == 2
    assert documents("alerts")[0]["status"] == "TRIGGERED"


def test_an_entry_that_is_filled_widens_the_bounds_for_its_levels(
    settle: Callable[..., list[str]],
) -> None:
    open_trade("alice", replace(limit_order(24_930), target_price=Decimal(24_940)))
    settle(25_000)
    settle(24_930)
    assert_bounds_hold()

    settle(24_940)
    assert trades_of("alice")[0].status is TradeStatus.TARGET_HIT


def test_bounds_that_are_narrowed_while_a_trade_is_written_include_it(
    settle: Callable[..., list[str]], monitor: Monitor, feed: ScriptedFeed, clock: ManualClock
) -> None:
    open_trade("alice", order(stop_loss=24_000, target_price=26_000))
    settle(25_000)

    def narrow() -> None:
        # Ticks that do not reach the stop-loss: such a tick would close the trade after its commit.
        for price in (25_070, 25_140, 25_000):
            clock.advance((WIDENED_SECONDS - 1) / 3)
            feed.tick(SYMBOL, price)
            monitor.run_once()

    clock.advance(SETTLED_SECONDS)
    feed.set(SYMBOL, 25_000)
    with before_command("insert", "trades", narrow):
        open_trade("alice", order(stop_loss=24_995))
    assert_bounds_hold()

    settle(24_995)
    assert [each.status.value for each in trades_of("alice")] == ["ACTIVE", "STOP_LOSS_HIT"]


def test_a_process_that_was_paused_for_long_before_its_commit_writes_nothing(
    clock: ManualClock,
) -> None:
    with (
        before_command("insert", "trades", lambda: clock.advance(WIDENED_SECONDS + 1)),
        pytest.raises(ExecutionTimeout),
    ):
        open_trade("alice", order(stop_loss=24_995))

    assert trades_of("alice") == []


def test_bounds_that_were_widened_for_nothing_are_narrowed_later(
    settle: Callable[..., list[str]], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(25_000)

    def fail(*_: object, **__: object) -> None:
        raise AutoReconnect("the process ends here")

    with monkeypatch.context() as broken:
        broken.setattr("app.trades.service.run_transaction", fail)
        with pytest.raises(AutoReconnect):
            open_trade("alice", order(stop_loss=24_999))
    assert settle(24_999).count("trades") == 2

    clock.advance(SETTLED_SECONDS)
    settle(24_999)
    settle(24_999)
    # Another trade may have been widened for just before this generation began.
    clock.advance(SETTLED_SECONDS - 1)
    assert settle(24_999, 24_998)
    assert settle(24_999)
    clock.advance(1)
    settle(24_999)
    settle(24_999)
    assert settle(24_998) == []


def test_a_level_that_this_process_has_widened_for_lately_costs_no_write(
    feed: ScriptedFeed, clock: ManualClock
) -> None:
    def widenings(stop_loss: int) -> int:
        with recording_commands() as commands:
            open_trade("alice", order(stop_loss=stop_loss))
        return sum(each.get("update") == "bounds" for each in commands)

    assert [widenings(each) for each in (24_900, 24_800, 24_900, 24_950)] == [1, 0, 0, 1]
    clock.advance(REUSE_SECONDS)
    services().quotes.update([feed.set(SYMBOL, 25_000)])
    assert widenings(24_900) == 1


def test_bounds_hold_while_twenty_write_and_a_monitor_narrows(
    app: Flask, monitor: Monitor, feed: ScriptedFeed
) -> None:
    written = threading.Event()

    def narrow() -> None:
        prices = cycle((25_000, 24_930, 25_070))
        while not written.is_set():
            feed.tick(SYMBOL, next(prices))
            monitor.run_once()
            assert_bounds_hold()

    def write(number: int) -> None:
        choose = random.Random(number)
        with app.app_context():
            for _ in range(2):
                # Refused by a price that the monitor has just moved.
                with suppress(PaperTradingError):
                    _write_something(choose)

    with ThreadPoolExecutor(1) as pool:
        narrowing = pool.submit(narrow)
        try:
            run_concurrently([partial(write, number) for number in range(AT_ONCE)])
        finally:
            written.set()
        narrowing.result(60)
    assert len(documents("trades")) > AT_ONCE
    assert_bounds_hold()


def _write_something(choose: random.Random) -> None:
    gap = choose.randint(1, 60)
    trade = open_trade("alice", limit_order(25_000 - gap))
    levels = {"limit_price": Decimal(25_000 - choose.randint(1, 60))}
    match choose.randint(0, 3):
        case 0:
            open_trade("alice", order(stop_loss=24_900 - gap, target_price=25_100 + gap))
        case 1:
            modify_trade("alice", str(trade.id), levels)
        case 2:
            cancel_trade("alice", str(trade.id))
        case 3:
            alert = set_alert("alice", SYMBOL, above=Decimal(25_100 + gap))
            delete_alert("alice", str(alert.id))


def test_reconcile_reports_and_repairs_bounds_that_leave_a_trade_out(
    app: Flask, settle: Callable[..., list[str]]
) -> None:
    def reconcile(*options: str) -> Result:
        return app.test_cli_runner().invoke(args=["reconcile", *options])

    open_trade("alice", order(stop_loss=24_960))
    settle(25_000)
    assert reconcile().exit_code == 0
    too_narrow = {"$set": {"settled.below": Decimal(24_950)}, "$unset": {"recent": ""}}
    collection("bounds").update_one({"_id": SYMBOL}, too_narrow)

    found = reconcile()
    assert found.exit_code == 1
    assert "24960" in found.output
    assert reconcile("--repair").exit_code == 1
    assert reconcile().exit_code == 0
    assert_bounds_hold()
