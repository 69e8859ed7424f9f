"""No tick closes a trade, or fires an alert, that began after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
from flask import Flask
from pymongo.errors import PyMongoError

from app import create_app
from app.alerts.service import list_alerts, set_alert
from app.database import collection
from app.domain.alert import AlertStatus
from app.domain.order import OrderType
from app.domain.quote import Source
from app.domain.trade import TradeStatus
from app.domain.triggers import SettledFrom
from app.extensions import mongo
from app.models.open_trades import find_open_of
from app.monitor import Monitor
from app.services import services
from app.trades.service import open_trade
from config import Settings
from tests.support.factories import create_users, order, trades_of
from tests.support.faults import FaultyDatabase
from tests.support.market import InterruptingFeed, ManualClock, ScriptedFeed


@pytest.fixture
def start_app(
    faulty: FaultyDatabase, make_settings: Callable[..., Settings], clock: ManualClock
) -> Iterator[Callable[[ScriptedFeed], Flask]]:
    """Start applications on one database, emptied afterwards."""

    def start(feed: ScriptedFeed) -> Flask:
        return create_app(make_settings(), mongo_uri=faulty.uri, feed=feed, clock=clock)

    yield start
    if mongo.cx is not None and mongo.db is not None:
        for name in mongo.db.list_collection_names():
            mongo.db[name].delete_many({})
        mongo.cx.close()
        mongo.cx = mongo.db = None


def stop_losses(*client_ids: str) -> list[TradeStatus]:
    return [trade.status for client_id in client_ids for trade in trades_of(client_id)]


def test_a_tick_kept_in_an_election_closes_no_trade_opened_after_it(
    start_app: Callable[[ScriptedFeed], Flask],
    faulty: FaultyDatabase,
    feed: ScriptedFeed,
    clock: ManualClock,
) -> None:
    app = start_app(feed)
    monitor = Monitor(app)
    with app.app_context():
        create_users("alice", "bob")
        open_trade("alice", order(stop_loss=24_600))
        set_alert("alice", "^NSEI", below=Decimal(24_600))
        monitor.run_once()
        feed.tick("^NSEI", 24_500)
        clock.advance(10)
        with faulty.failing("find", errorCode=10107), pytest.raises(PyMongoError):
            monitor.run_once()
        feed.tick("^NSEI", 25_000)
        clock.advance(25)

        open_trade("bob", order(stop_loss=24_900))
        set_alert("bob", "^NSEI", below=Decimal(24_900))
        monitor.run_once()

        assert stop_losses("alice", "bob") == [TradeStatus.STOP_LOSS_HIT, TradeStatus.ACTIVE]
        assert statuses_of_alerts("alice", "bob") == [AlertStatus.TRIGGERED, AlertStatus.ACTIVE]
        feed.tick("^NSEI", 24_899)
        monitor.run_once()
        assert stop_losses("bob") == [TradeStatus.STOP_LOSS_HIT]
        assert statuses_of_alerts("bob") == [AlertStatus.TRIGGERED]


def expire_lease(app: Flask) -> None:
    """Let the lease expire, as if its holder had stopped renewing it."""
    with app.app_context():
        collection("leases").update_many({}, {"$set": {"until": 0}})


def statuses_of_alerts(*client_ids: str) -> list[AlertStatus]:
    return [
        alert.status for client_id in client_ids for alert in list_alerts(client_id, limit=9)[0]
    ]


def lead_with_a_trade(
    start_app: Callable[[ScriptedFeed], Flask], clock: ManualClock, stop_loss: int
) -> tuple[list[ScriptedFeed], list[Flask], Monitor, Monitor]:
    """Start two processes at 25,000; the first leads, and Alice has a trade.

    Returns the feeds, the applications, and the monitor of each.
    """
    feeds = [ScriptedFeed(clock), ScriptedFeed(clock)]
    apps = [start_app(feed) for feed in feeds]
    former, other = map(Monitor, apps)
    for feed in feeds:
        feed.set("^NSEI", 25_000)
    with apps[0].app_context():
        create_users("alice")
        open_trade("alice", order(stop_loss=stop_loss))
    former.run_if_leased()
    return feeds, apps, former, other


def test_a_former_leader_settles_none_of_its_old_ticks_when_it_leads_again(
    start_app: Callable[[ScriptedFeed], Flask],
    faulty: FaultyDatabase,
    clock: ManualClock,
) -> None:
    feeds, apps, former, other = lead_with_a_trade(start_app, clock, stop_loss=24_000)
    feeds[0].tick("^NSEI", 24_500)
    with faulty.failing("find", errorCode=10107), pytest.raises(PyMongoError):
        former.run_if_leased()
    expire_lease(apps[0])
    other.run_if_leased()
    former.run_if_leased()
    clock.advance(60)
    feeds[1].tick("^NSEI", 25_000)
    other.run_if_leased()
    with apps[1].app_context():
        trade = open_trade("alice", order(stop_loss=24_900))
    expire_lease(apps[0])

    feeds[0].tick("^NSEI", 25_001)
    former.run_if_leased()

    with apps[0].app_context():
        assert find_open_of({trade.id: "alice"})


def test_a_tick_received_between_two_batches_closes_no_trade_opened_after_it(
    start_app: Callable[[ScriptedFeed], Flask], clock: ManualClock
) -> None:
    feed = InterruptingFeed(clock)
    feed.set("^NSEI", 25_000)
    app = start_app(feed)
    app.config["WRITE_BATCH_SIZE"] = 1
    monitor = Monitor(app)
    with app.app_context():
        create_users("alice", "bob")
        for _ in range(2):
            open_trade("alice", order(stop_loss=24_990))
        feed.interruptions = [
            # While the settlement of 24,980 is under way.
            lambda: (feed.push("^NSEI", 24_500), feed.push("^NSEI", 25_000)),
            lambda: open_trade("bob", order(stop_loss=24_900)),
        ]
        feed.tick("^NSEI", 24_980)

        monitor.run_once()
        monitor.run_arrived()

        assert not feed.interruptions
        assert set(stop_losses("alice")) == {TradeStatus.STOP_LOSS_HIT}
        assert stop_losses("bob") == [TradeStatus.ACTIVE]


def test_a_tick_that_an_order_overtook_does_not_close_its_trade(
    app_context: Flask, monitor: Monitor, feed: ScriptedFeed, clock: ManualClock
) -> None:
    create_users("alice", "bob")
    open_trade("alice", order(stop_loss=24_600))
    feed.push("^NSEI", 24_500)
    feed.push("^NSEI", 25_000)
    clock.advance(25)

    open_trade("bob", order(stop_loss=24_900))
    monitor.run_arrived()

    assert stop_losses("alice", "bob") == [TradeStatus.STOP_LOSS_HIT, TradeStatus.ACTIVE]


def test_a_tick_that_a_quote_overtook_closes_the_trade_that_the_tick_before_it_filled(
    app_context: Flask, monitor: Monitor, feed: ScriptedFeed, clock: ManualClock
) -> None:
    create_users("alice", "bob")
    stop = replace(order(target_price=25_400), order_type=OrderType.STOP)
    open_trade("alice", replace(stop, stop_price=Decimal(25_100)))
    for price in (25_200, 25_500, 25_000):
        feed.push("^NSEI", price)
    clock.advance(25)

    open_trade("bob", order())
    monitor.run_arrived()

    (trade,) = trades_of("alice")
    assert (trade.status, trade.entered.entry_price) == (TradeStatus.TARGET_HIT, Decimal(25_200))


def test_the_ticks_of_a_process_that_lost_the_lease_become_a_gap(
    start_app: Callable[[ScriptedFeed], Flask],
    faulty: FaultyDatabase,
    clock: ManualClock,
) -> None:
    feeds, apps, former, other = lead_with_a_trade(start_app, clock, stop_loss=24_600)
    clock.advance(1)
    feeds[0].tick("^NSEI", 24_500)
    feeds[1].record("^NSEI", clock.now(), 24_700, 24_500)
    with faulty.failing("find", errorCode=10107), pytest.raises(PyMongoError):
        former.run_if_leased()
    clock.advance(60)
    expire_lease(apps[0])

    other.run_if_leased()
    former.run_if_leased()

    with apps[1].app_context():
        (trade,) = trades_of("alice")
    assert trade.exit is not None
    assert trade.exit.price == 24_600
    assert trade.exit.settled_from is SettledFrom.GAP


@pytest.mark.parametrize("source", [Source.ANGEL_ONE, Source.YAHOO])
def test_a_late_tick_closes_no_trade_that_another_process_opened_after_it(
    start_app: Callable[[ScriptedFeed], Flask],
    faulty: FaultyDatabase,
    clock: ManualClock,
    source: Source,
) -> None:
    feeds = [ScriptedFeed(clock, source), ScriptedFeed(clock, source)]
    apps = [start_app(feed) for feed in feeds]
    leader = Monitor(apps[0])
    for feed in feeds:
        feed.set("^NSEI", 25_000)
    with apps[1].app_context():
        create_users("alice", "bob")
        open_trade("alice", order(stop_loss=24_600))
    leader.run_if_leased()
    clock.advance(1)
    feeds[0].tick("^NSEI", 24_500)
    with faulty.failing("find", errorCode=10107), pytest.raises(PyMongoError):
        leader.run_if_leased()
    clock.advance(1)
    feeds[0].tick("^NSEI", 25_000)
    feeds[1].set("^NSEI", 25_000)
    with apps[1].app_context():
        services().quotes.update([feeds[1].set("^NSEI", 25_000)])
        open_trade("bob", order(stop_loss=24_900))

    leader.run_if_leased()

    with apps[1].app_context():
        assert stop_losses("alice", "bob") == [TradeStatus.STOP_LOSS_HIT, TradeStatus.ACTIVE]


def test_an_order_of_a_standby_enters_at_the_price_of_the_leader(
    start_app: Callable[[ScriptedFeed], Flask], clock: ManualClock
) -> None:
    feeds = [ScriptedFeed(clock), ScriptedFeed(clock)]
    apps = [start_app(feed) for feed in feeds]
    leader, standby = map(Monitor, apps)
    leader.run_if_leased()
    standby.run_if_leased()
    with apps[1].app_context():
        create_users("alice")
        services().quotes.update([feeds[1].set("^NSEI", 25_000)])
    clock.advance(1)
    feeds[0].tick("^NSEI", 24_500)
    leader.run_once()

    with apps[1].app_context():
        trade = open_trade("alice", order(stop_loss=24_400))
        alert = set_alert("alice", "^NSEI", below=Decimal(24_400))

        assert trade.entered.entry_price == 24_500
        assert stop_losses("alice") == [TradeStatus.ACTIVE]
    feeds[0].tick("^NSEI", 24_300)
    leader.run_once()
    with apps[1].app_context():
        assert stop_losses("alice") == [TradeStatus.STOP_LOSS_HIT]
        assert statuses_of_alerts("alice") == [AlertStatus.TRIGGERED]
        assert alert.status is AlertStatus.ACTIVE


@pytest.mark.parametrize("source", [Source.MOCK, Source.REPLAY])
def test_a_trade_of_an_earlier_process_closes_at_the_first_tick_of_the_next(
    start_app: Callable[[ScriptedFeed], Flask], clock: ManualClock, source: Source
) -> None:
    feed = ScriptedFeed(clock, source)
    feed.set("^NSEI", 25_000)
    with start_app(feed).app_context():
        create_users("alice")
        for _ in range(3):
            services().quotes.update([feed.set("^NSEI", 25_000)])
        open_trade("alice", order(stop_loss=24_900))
    # Not even a clock that was set back delays it.
    clock.set_back(3_600)
    restarted = start_app(feed)
    feed.tick("^NSEI", 24_800)

    Monitor(restarted).run_once()

    with restarted.app_context():
        assert stop_losses("alice") == [TradeStatus.STOP_LOSS_HIT]
