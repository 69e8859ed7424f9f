"""Prices are published after the triggered trades are found, and before these are written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from flask import Flask
from pymongo.errors import AutoReconnect

from app.domain.quote import Quote
from app.models import Trade, apply_changes
from app.monitor import Monitor
from app.monitor.loop import Pass
from app.realtime.prices import publish_prices
from app.trades import execution
from app.trades.service import open_trade
from tests.support.concurrency import run_in_thread, running
from tests.support.database_state import documents
from tests.support.factories import active_trades, create_users, order, trades_of
from tests.support.live import eventually
from tests.support.market import ManualClock, ScriptedFeed

pytestmark = pytest.mark.usefixtures("app_context")

SECONDS = 10


class Log:
    """The order of steps: a price published, trades searched, trades closed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()

    def add(self, line: str) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def wait_for(self, line: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: line in self.lines, SECONDS)


@pytest.fixture(autouse=True)
def trader(app_context: Flask) -> None:
    create_users("alice")


@pytest.fixture
def log(app_context: Flask, monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    find, close = Trade.find_triggered, apply_changes

    def logged_publish(quotes: Iterable[Quote]) -> None:
        for quote in quotes:
            log.add(f"{quote.symbol} shown at {quote.price:.0f}")
            publish_prices([quote])

    def logged_find(symbol: str, *prices: Any) -> Iterator[Trade]:
        yield from find(symbol, *prices)
        log.add(f"{symbol} asked")

    def logged_close(closures: Any, *rest: Any) -> int:
        log.add(f"{len(closures)} closed")
        return close(closures, *rest)

    monkeypatch.setattr("app.monitor.receiver.publish_prices", logged_publish)
    monkeypatch.setattr(Trade, "find_triggered", logged_find)
    monkeypatch.setattr(execution, "apply_changes", logged_close)
    return log


def before_each(monkeypatch: pytest.MonkeyPatch, name: str, happen: Callable[[], object]) -> None:
    """Have something happen before each search for trades, or each change of them."""
    owner: Any = Trade if hasattr(Trade, name) else execution
    original = getattr(owner, name)

    def wrapped(*args: Any) -> Any:
        happen()
        return original(*args)

    monkeypatch.setattr(owner, name, wrapped)


def test_a_price_is_published_between_the_search_and_the_writes(
    log: Log, monitor: Monitor, feed: ScriptedFeed
) -> None:
    open_trade("alice", order(stop_loss=24_990))
    feed.tick("^NSEI", 24_980)
    feed.tick("^BSESN", 80_000)

    monitor.run_once()

    assert log.lines == [
        "^NSEI asked",
        "^NSEI shown at 24980",
        "^BSESN shown at 80000",
        "1 closed",
    ]


def test_a_price_is_published_also_if_the_search_fails(
    log: Log, monitor: Monitor, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_trade("alice", order(stop_loss=24_990))

    def fail() -> None:
        raise AutoReconnect("the database is away")

    with monkeypatch.context() as away:
        before_each(away, "find_triggered", fail)
        feed.tick("^NSEI", 24_980)
        with pytest.raises(AutoReconnect):
            monitor.run_once()
        assert log.lines == ["^NSEI shown at 24980"]

    assert monitor.run_once() == Pass(ticks=0, closed=1)
    assert log.lines == ["^NSEI shown at 24980", "^NSEI asked", "1 closed"]


@pytest.fixture
def crash(log: Log, feed: ScriptedFeed, app_context: Flask) -> None:
    """A tick that triggers three trades, each closed in its own transaction."""
    app_context.config["WRITE_BATCH_SIZE"] = 1
    for _ in range(3):
        open_trade("alice", order(stop_loss=24_990))
    open_trade("alice", order(stop_loss=24_900))
    feed.tick("^NSEI", 24_980)


@pytest.mark.usefixtures("crash")
def test_prices_that_arrive_between_batches_are_published_between_batches(
    log: Log, monitor: Monitor, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = iter([24_970, 24_890, 24_950])
    before_each(monkeypatch, "apply_changes", lambda: feed.push("^NSEI", next(prices)))

    assert monitor.run_once() == Pass(ticks=1, closed=3)

    assert log.lines == [
        "^NSEI asked",
        "^NSEI shown at 24980",
        "1 closed",
        "^NSEI shown at 24970",
        "1 closed",
        "^NSEI shown at 24890",
        "1 closed",
        "^NSEI shown at 24950",
    ]


@pytest.mark.usefixtures("crash")
def test_ticks_that_arrive_between_batches_are_settled_next_in_order(
    monitor: Monitor, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as falling:
        prices = iter([24_970, 24_890, 24_950])
        before_each(falling, "apply_changes", lambda: feed.push("^NSEI", next(prices)))
        monitor.run_once()

    assert monitor.run_arrived().closed == 1

    exits = sorted(trade.exit.price for trade in trades_of("alice") if trade.exit)
    assert exits == [24_890, 24_980, 24_980, 24_980]


@pytest.mark.usefixtures("crash")
def test_ticks_that_arrive_before_a_failure_are_not_lost(
    monitor: Monitor, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall_and_fail() -> None:
        feed.push("^NSEI", 24_890)
        raise AutoReconnect("the database is away")

    with monkeypatch.context() as away:
        before_each(away, "apply_changes", fall_and_fail)
        with pytest.raises(AutoReconnect):
            monitor.run_once()

    assert monitor.run_arrived().closed == 4
    exits = sorted(trade.exit.price for trade in trades_of("alice") if trade.exit)
    assert exits == [24_890, 24_980, 24_980, 24_980]


@pytest.mark.usefixtures("crash")
def test_a_long_settlement_continues_to_poll_and_to_renew_the_lease(
    log: Log,
    monitor: Monitor,
    feed: ScriptedFeed,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    until: list[int] = []

    def take_long() -> None:
        clock.advance(11)
        feed.tick("^NSEI", 24_970)
        # In another thread, outside the transaction.
        (lease,) = run_in_thread(lambda: documents("leases", _id="monitor:0"))
        until.append(lease["until"])

    before_each(monkeypatch, "apply_changes", take_long)

    monitor.run_if_leased()

    assert log.lines.count("^NSEI shown at 24970") == 3
    before, first, second = until
    assert before < first < second


@pytest.mark.usefixtures("crash")
def test_ticks_polled_between_batches_do_not_wait_for_the_next_interval(
    monitor: Monitor,
    feed: ScriptedFeed,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fall() -> None:
        # After this the clock of the loop stands still, 10 s before the next poll.
        clock.advance(10)
        feed.tick("^NSEI", 24_890)
        monkeypatch.undo()

    before_each(monkeypatch, "apply_changes", fall)

    with running(monitor):
        eventually(lambda: not active_trades("alice"), timeout=5)
