"""Leases of the monitor: one holder at a time, and nothing is settled without one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal

import pytest
from flask import Flask

from app import create_app
from app.alerts.service import list_alerts, set_alert
from app.database import collection
from app.database.batches import LeaseLost
from app.database.transactions import run_transaction
from app.domain.alert import AlertStatus
from app.models import SHARES, ShareLease
from app.monitor import Monitor
from app.monitor.lease import Lease
from app.processes import describe_process, is_dead
from app.trades.service import open_trade
from config import Settings
from tests.support.concurrency import run_concurrently, run_in_thread
from tests.support.factories import create_users, order, trades_of
from tests.support.market import InterruptingFeed, ManualClock

SECONDS = 20.0
SYMBOL = "^NSEI"


def expire_leases() -> None:
    """Let the leases expire, as if their holders had stopped renewing them."""
    collection("leases").update_many({}, {"$set": {"until": 0}})


def test_a_lease_has_one_holder_who_renews_it(app_context: Flask) -> None:
    one, other = Lease(SECONDS), Lease(SECONDS)

    assert one.renew().epochs
    assert not other.renew().epochs
    assert one.renew().epochs
    assert ShareLease.any_living()


def test_the_epoch_rises_when_another_worker_takes_an_expired_lease(app_context: Flask) -> None:
    one, other = Lease(SECONDS), Lease(SECONDS)
    first = one.renew()
    expire_leases()
    assert not ShareLease.any_living()

    second = other.renew()

    assert not one.renew().epochs
    assert second.epochs == {number: epoch + 1 for number, epoch in first.epochs.items()}


def test_of_workers_that_start_at_once_one_gets_a_share(app_context: Flask) -> None:
    leases = [Lease(SECONDS) for _ in range(6)]

    run_concurrently([lease.renew for lease in leases])

    held = [number for lease in leases for number in lease.renew().epochs]
    assert sorted(held) == list(range(SHARES))
    assert {lease.epoch for lease in ShareLease.find_all()} == {1}


def test_a_released_lease_is_free_at_once(app_context: Flask) -> None:
    one, other = Lease(SECONDS), Lease(SECONDS)
    one.renew()

    one.end()

    assert not ShareLease.any_living()
    assert other.renew().epochs
    assert not one.renew().epochs


def ended_process() -> int:
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process started")
def test_a_dead_process_of_this_host_is_replaced_at_once(app_context: Flask) -> None:
    one, other = Lease(SECONDS), Lease(SECONDS)
    one.renew()

    collection("leases").update_many({}, {"$set": {"process.pid": ended_process()}})

    assert other.renew().epochs
    assert not one.renew().epochs


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process started")
@pytest.mark.parametrize(
    ("changes", "dead"),
    [
        ({}, False),
        # The number belongs to another process now.
        ({"started": 1}, True),
        # On another host, nothing is known about it.
        ({"started": 1, "host": "elsewhere"}, False),
    ],
)
def test_a_process_is_dead_if_this_host_runs_another_or_none_of_its_number(
    changes: dict[str, object], dead: bool
) -> None:
    process = describe_process()

    assert process is not None
    assert process["pid"] == os.getpid()
    assert is_dead(process | changes) is dead
    assert not is_dead(None)


def test_the_process_that_started_the_database_replaces_earlier_holders(
    app_context: Flask,
) -> None:
    owner, later = Lease(SECONDS, is_alone=True), Lease(SECONDS)
    Lease(SECONDS).renew()

    assert len(owner.renew().epochs) == SHARES
    assert not later.renew().epochs
    # Only at its start: whoever takes a share after that is alive.
    expire_leases()
    taken = later.renew().epochs
    assert taken
    assert not owner.renew().epochs.keys() & taken.keys()


def test_a_takeover_within_a_transaction_makes_it_fail(app_context: Flask) -> None:
    one, other = Lease(SECONDS), Lease(SECONDS)
    term = one.renew()
    attempts = []

    def settle() -> None:
        attempts.append(collection("market").find_one())
        if len(attempts) == 1:
            expire_leases_and_renew(other)
        collection("market").insert_one({"number": len(attempts)})
        term.fence([SYMBOL])

    with pytest.raises(LeaseLost):
        run_transaction(settle)

    # The first attempt conflicts with the takeover that its snapshot does not show.
    assert len(attempts) == 2
    assert collection("market").count_documents({}) == 0


def expire_leases_and_renew(lease: Lease) -> None:
    def take_over() -> None:
        expire_leases()
        lease.renew()

    run_in_thread(take_over)


@pytest.fixture
def processes(
    app: Flask, make_settings: Callable[..., Settings], mongo_uri: str, clock: ManualClock
) -> list[tuple[Flask, InterruptingFeed]]:
    """Two processes on the database of the test, and the feed of each."""
    feeds = [InterruptingFeed(clock), InterruptingFeed(clock)]
    for feed in feeds:
        feed.set(SYMBOL, 25_000)
    settings = make_settings(MONITOR_INTERVAL_SECONDS="0.02")
    return [
        (create_app(settings, mongo_uri=mongo_uri, feed=feed, clock=clock), feed) for feed in feeds
    ]


def test_a_paused_leader_settles_none_of_its_ticks_after_another_took_over(
    processes: list[tuple[Flask, InterruptingFeed]], clock: ManualClock
) -> None:
    (app, feed), (other_app, other_feed) = processes
    leader, other = Monitor(app), Monitor(other_app)
    leader.run_if_leased()
    with app.app_context():
        create_users("alice")
        open_trade("alice", order(stop_loss=24_600))
        set_alert("alice", SYMBOL, below=Decimal(24_600))
        leader.run_if_leased()
    clock.advance(60)

    def take_over() -> None:
        """While the leader has received a tick, and settled nothing of it."""
        expire_leases()
        other.run_if_leased()

    feed.interruptions = [take_over]
    feed.tick(SYMBOL, 24_500)
    leader.run_if_leased()

    with app.app_context():
        assert [trade.exit for trade in trades_of("alice")] == [None]
        assert [alert.status for alert in list_alerts("alice", limit=9)[0]] == [AlertStatus.ACTIVE]
    assert leader.is_standing_by
    clock.advance(1)
    other_feed.tick(SYMBOL, 24_550)
    other.run_if_leased()
    with app.app_context():
        (trade,) = trades_of("alice")
        assert trade.exit is not None
        assert trade.exit.price == 24_550
