"""Workers of one database divide the symbols, and take over from each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from flask import Flask

from app import create_app
from app.domain.trade import TradeStatus
from app.domain.triggers import SettledFrom
from app.models import SHARES, MarketState, ShareLease, share_of
from app.monitor import Monitor
from app.monitor.lease import Lease
from app.services import services
from app.trades.service import open_trade
from config import Settings
from tests.support.concurrency import running
from tests.support.factories import create_users, order, trades_of
from tests.support.faults import recording_commands
from tests.support.market import InterruptingFeed, ManualClock
from tests.support.own_client import collection

SECONDS = 20.0
SYMBOLS = ("^NSEI", "^BSESN", "RELIANCE.NS", "TCS.NS", "INFY.NS", "SBIN.NS", "ITC.NS", "LT.NS")


class Process:
    """One process: its application, its feed and its monitor."""

    def __init__(self, app: Flask, feed: InterruptingFeed) -> None:
        self.app = app
        self.feed = feed
        self.monitor = Monitor(app)

    def run(self, passes: int = 1) -> None:
        for _ in range(passes):
            self.monitor.run_if_leased()

    @property
    def polled(self) -> set[str]:
        return self.feed.polls[-1] if self.feed.polls else set()


@pytest.fixture
def interval() -> float:
    """The seconds between two passes."""
    return 10


@pytest.fixture
def processes(
    app: Flask,
    make_settings: Callable[..., Settings],
    mongo_uri: str,
    clock: ManualClock,
    interval: float,
) -> Sequence[Process]:
    """Two processes on the database of the test, with an open trade of alice in each symbol."""
    settings = make_settings(MONITOR_INTERVAL_SECONDS=interval)
    started = []
    for _ in range(2):
        feed = InterruptingFeed(clock)
        for symbol in SYMBOLS:
            feed.set(symbol, 1_000)
        started.append(
            Process(create_app(settings, mongo_uri=mongo_uri, feed=feed, clock=clock), feed)
        )
    with started[0].app.app_context():
        create_users("alice")
        for symbol in SYMBOLS:
            open_trade("alice", order(symbol, stop_loss=900))
    return started


def divide(processes: Sequence[Process]) -> None:
    """Let the second worker join, and the first one release its part."""
    first, second = processes
    for _ in range(2):
        first.run()
        second.run()
    first.run()


def exits(process: Process) -> dict[str, tuple[TradeStatus, Decimal, SettledFrom | None]]:
    with process.app.app_context():
        return {
            trade.symbol: (trade.status, trade.exit.price, trade.exit.settled_from)
            for trade in trades_of("alice")
            if trade.exit
        }


def test_a_lone_worker_polls_all_symbols_and_a_second_one_gets_its_part(
    processes: Sequence[Process],
) -> None:
    first, second = processes
    first.run()
    assert first.polled == set(SYMBOLS)

    second.run()
    # It takes nothing from a living worker.
    assert second.monitor.is_standing_by
    assert first.polled == set(SYMBOLS)

    first.run()
    second.run()
    first.run()
    assert first.polled | second.polled == set(SYMBOLS)
    assert not first.polled & second.polled
    holders = [lease.holder for lease in ShareLease.find_all()]
    assert {holders.count(each) for each in holders} == {SHARES // 2}


def test_each_worker_closes_the_trades_of_its_symbols_once(
    processes: Sequence[Process], clock: ManualClock
) -> None:
    divide(processes)
    clock.advance(1)

    for process in processes:
        for symbol in SYMBOLS:
            process.feed.tick(symbol, 890)
            process.feed.tick(symbol, 880)
    for process in processes:
        process.run()

    closed = exits(processes[0])
    assert closed == dict.fromkeys(SYMBOLS, (TradeStatus.STOP_LOSS_HIT, Decimal(890), None))


def test_what_a_worker_settled_before_it_released_a_share_is_no_gap(
    processes: Sequence[Process], clock: ManualClock
) -> None:
    first, second = processes
    first.run()
    second.run()
    clock.advance(60)
    for process in processes:
        for symbol in SYMBOLS:
            process.feed.record(symbol, clock.now() - timedelta(seconds=30), 890)
    first.feed.tick("^NSEI", 1_001)

    # Releases what the second one asks for, after its pass.
    first.run()
    second.run()

    assert exits(first) == {}
    assert second.polled


def test_the_shares_of_a_dead_worker_move_with_their_progress(
    processes: Sequence[Process], clock: ManualClock
) -> None:
    first, second = processes
    divide(processes)
    others = first.polled
    clock.advance(60)
    for symbol in SYMBOLS:
        second.feed.record(symbol, clock.now() - timedelta(seconds=30), 890)
    # Its own symbols are settled up to now; nobody settles the others.
    second.run()

    expire_leases_of(first)
    clock.advance(1)
    second.run()

    assert second.polled == set(SYMBOLS)
    gap = (TradeStatus.STOP_LOSS_HIT, Decimal(890), SettledFrom.GAP)
    assert exits(second) == dict.fromkeys(others, gap)


def expire_leases_of(process: Process) -> None:
    """Let the leases of the process expire, as if it had died."""
    numbers = {share_of(symbol) for symbol in process.polled}
    holders = {lease.holder for lease in ShareLease.find_all() if lease.number in numbers}
    collection("leases").update_many({"holder": {"$in": list(holders)}}, {"$set": {"until": 0}})


def test_ticks_from_before_a_takeover_close_nothing(
    processes: Sequence[Process], clock: ManualClock
) -> None:
    first, second = processes
    divide(processes)
    others = first.polled
    clock.advance(5)
    for symbol in SYMBOLS:
        # The feed of the second still has them when the first dies.
        second.feed.tick(symbol, 880)
        second.feed.push(symbol, 870)
        second.feed.record(symbol, clock.now(), 890)
    clock.advance(5)
    expire_leases_of(first)

    second.run()

    closed = exits(second)
    assert {closed[symbol][1] for symbol in others} == {Decimal(890)}
    assert {closed[symbol][1] for symbol in set(SYMBOLS) - others} == {Decimal(880)}


def test_ticks_from_before_a_takeover_without_a_gap_close_nothing(
    processes: Sequence[Process], clock: ManualClock
) -> None:
    first, second = processes
    divide(processes)
    others = first.polled
    clock.advance(5)
    for symbol in SYMBOLS:
        second.feed.tick(symbol, 880)
    clock.advance(5)
    # It settles its symbols up to the time at which it dies.
    first.run()
    expire_leases_of(first)

    second.run()

    assert second.polled == set(SYMBOLS)
    assert exits(second).keys() == set(SYMBOLS) - others


def test_a_worker_stores_no_progress_of_a_share_that_another_has_taken(
    processes: Sequence[Process], clock: ManualClock
) -> None:
    first, second = processes
    first.run()
    later = {}

    def take_over() -> None:
        collection("leases").update_many({}, {"$set": {"until": 0}})
        second.run()
        later.update(MarketState.load_progress(first.feed.name))
        clock.advance(60)

    clock.advance(60)
    first.feed.interruptions = [take_over]

    first.run()

    with first.app.app_context():
        assert MarketState.load_progress(first.feed.name) == later


def test_the_progress_of_an_earlier_version_counts_for_all_shares(
    app_context: Flask, clock: ManualClock
) -> None:
    earlier, now = clock.now(), clock.now() + timedelta(minutes=1)
    collection("market").insert_one({"_id": "yahoo", "settled_to": earlier})

    MarketState.save_progress("yahoo", {3: now}, {3: 1})

    assert MarketState.load_progress("yahoo") == {
        **dict.fromkeys(range(SHARES), earlier),
        3: now,
    }
    document = collection("market").find_one({"_id": "yahoo"})
    assert document is not None
    assert document["settled_to"] == earlier


def test_a_lone_worker_renews_all_its_leases_by_one_command(app_context: Flask) -> None:
    lease = Lease(SECONDS)
    lease.renew()

    with recording_commands() as commands:
        lease.renew()

    assert [(next(iter(each)), each.get("update")) for each in commands] == [("update", "leases")]


@pytest.mark.parametrize("interval", [0.02])
def test_a_worker_that_stops_leaves_its_part_to_the_others_at_once(
    processes: Sequence[Process],
) -> None:
    first, second = processes
    with running(first.monitor):
        first.feed.wait_for_polls(2)
        with running(second.monitor):
            second.feed.wait_for_polls(2)
            assert second.polled < set(SYMBOLS)
            first.monitor.stop()
            second.feed.wait_until_polled(set(SYMBOLS))


def test_a_process_polls_what_the_sockets_of_another_follow(processes: Sequence[Process]) -> None:
    first, second = processes
    divide(processes)
    with second.app.app_context():
        services().polled_symbols.try_follow(["HDFCBANK.NS", "WIPRO.NS", "AXISBANK.NS"], budget=9)
    followed = {"HDFCBANK.NS", "WIPRO.NS", "AXISBANK.NS"}

    second.run()
    first.run()

    assert followed <= first.polled | second.polled
    assert not first.polled & second.polled
