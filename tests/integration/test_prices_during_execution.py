"""Prices on their way out: not before it is known what they trigger, and never held up by it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from pymongo.errors import AutoReconnect

from app.domain.quote import Quote
from app.models import Trade
from app.monitor import Monitor
from app.monitor.loop import Pass
from app.realtime.prices import publish_prices
from app.trades.service import open_trade
from tests.support.concurrency import running
from tests.support.database_state import documents
from tests.support.factories import create_users, order, trades_of
from tests.support.live import eventually
from tests.support.market import ManualClock, ScriptedFeed

pytestmark = pytest.mark.usefixtures("app_context")

SECONDS = 10


class Log:
    """What happened, in order: a price shown, trades found, trades closed."""

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
    find, close = Trade.find_triggered, Trade.close_many

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

    monkeypatch.setattr("app.monitor.loop.publish_prices", logged_publish)
    monkeypatch.setattr(Trade, "find_triggered", logged_find)
    monkeypatch.setattr(Trade, "close_many", logged_close)
    return log


def before_each(monkeypatch: pytest.MonkeyPatch, name: str, work: Callable[[], object]) -> None:
    """Have `work` done before each call of a method of Trade."""
    method = getattr(Trade, name)

    def call(*arguments: Any) -> Any:
        work()
        return method(*arguments)

    monkeypatch.setattr(Trade, name, call)


def test_a_price_is_shown_when_it_is_known_what_it_triggers_and_before_that_is_written(
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


def test_a_price_is_shown_though_nobody_can_tell_what_it_triggers(
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
    """A tick that triggers three trades, each closed by a transaction of its own."""
    app_context.config["WRITE_BATCH_SIZE"] = 1
    for _ in range(3):
        open_trade("alice", order(stop_loss=24_990))
    open_trade("alice", order(stop_loss=24_900))
    feed.tick("^NSEI", 24_980)


@pytest.mark.usefixtures("crash")
def test_prices_that_come_in_while_many_trades_are_closed_are_shown_meanwhile(
    log: Log, monitor: Monitor, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = iter([24_970, 24_890, 24_950])
    before_each(monkeypatch, "close_many", lambda: feed.push("^NSEI", next(prices)))

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
def test_what_came_in_meanwhile_is_settled_next_in_its_order(
    monitor: Monitor, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as falling:
        prices = iter([24_970, 24_890, 24_950])
        before_each(falling, "close_many", lambda: feed.push("^NSEI", next(prices)))
        monitor.run_once()

    assert monitor.run_arrived().closed == 1

    exits = sorted(each.exit.price for each in trades_of("alice") if each.exit)
    assert exits == [24_890, 24_980, 24_980, 24_980]


@pytest.mark.usefixtures("crash")
def test_nothing_that_came_in_meanwhile_is_lost_where_the_rest_cannot_be_written(
    monitor: Monitor, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall_and_fail() -> None:
        feed.push("^NSEI", 24_890)
        raise AutoReconnect("the database is away")

    with monkeypatch.context() as away:
        before_each(away, "close_many", fall_and_fail)
        with pytest.raises(AutoReconnect):
            monitor.run_once()

    assert monitor.run_arrived().closed == 4
    exits = sorted(each.exit.price for each in trades_of("alice") if each.exit)
    assert exits == [24_890, 24_980, 24_980, 24_980]


@pytest.mark.usefixtures("crash")
def test_a_settlement_longer_than_the_interval_goes_on_asking_for_prices_and_leading(
    log: Log,
    monitor: Monitor,
    feed: ScriptedFeed,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    until: list[datetime | None] = []

    def take_long() -> None:
        clock.advance(11)
        feed.tick("^NSEI", 24_970)
        until.append(_lease_until())

    before_each(monkeypatch, "close_many", take_long)

    monitor.run_once()

    assert log.lines.count("^NSEI shown at 24970") == 3
    before, first, second = until
    assert before is None
    assert first is not None
    assert second is not None
    assert first < second


@pytest.mark.usefixtures("crash")
def test_what_was_asked_for_meanwhile_does_not_wait_for_the_next_interval(
    monitor: Monitor,
    feed: ScriptedFeed,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fall() -> None:
        # The clock of the loop stands still after this, 10 s before the next poll.
        clock.advance(10)
        feed.tick("^NSEI", 24_890)
        monkeypatch.undo()

    before_each(monkeypatch, "close_many", fall)

    with running(monitor):
        eventually(lambda: not Trade.find_active_by_user_id("alice"), timeout=5)


def _lease_until() -> datetime | None:
    leases: list[datetime] = [lease["until"] for lease in documents("leases", _id="monitor")]
    return leases[0] if leases else None
