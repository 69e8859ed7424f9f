"""Alerts: each fires once, also under concurrent changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from functools import partial

import pytest
from bson import ObjectId
from flask import Flask

from app.alerts.service import delete_alert, list_alerts, set_alert
from app.database import Document
from app.database.batches import BATCH_SIZE
from app.database.transactions import run_transaction
from app.domain.alert import AlertStatus, Direction
from app.domain.errors import NotFound
from app.domain.quote import Quote, Source
from app.events import events_committed
from app.models import Alert, AlertTrigger, Notification, SymbolState
from app.services import services
from tests.integration.test_indexes import plan
from tests.support.alerts import alerted_symbols, events_of, reload, request
from tests.support.concurrency import run_concurrently
from tests.support.execution import fire, fire_crossed
from tests.support.factories import create_user
from tests.support.faults import before_command, recording_commands
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection

pytestmark = pytest.mark.usefixtures("app_context")


@pytest.fixture(autouse=True)
def people(app_context: Flask) -> None:
    """Users without portfolios: alerts need none."""
    create_user("alice")
    create_user("bob")


def insert_many(count: int, user_id: str = "alice") -> None:
    """Insert more alerts than a user may have, above 25,001, 25,002, and so on."""
    alert = set_alert(user_id, **request(above=25_001))
    document = alert.as_set()
    collection("alerts").insert_many(
        {**document, "_id": ObjectId(), "number": number, "above": Decimal(25_000 + number)}
        for number in range(2, count + 1)
    )


def test_a_tick_at_a_level_fires_and_a_tick_a_paisa_before_it_does_not(feed: ScriptedFeed) -> None:
    high = set_alert("alice", **request(above=25_100))
    low = set_alert("alice", **request(below=24_900))

    assert fire_crossed([feed.set("^NSEI", "25099.99"), feed.set("^NSEI", "24900.01")]) == 0
    assert fire_crossed([feed.set("^NSEI", "25100.00")]) == 1
    assert fire_crossed([feed.set("^NSEI", "24900.00")]) == 1

    assert [reload(each).status for each in (high, low)] == [AlertStatus.TRIGGERED] * 2
    assert [event.data["alert_id"] for event in events_of("alice")] == [str(high.id), str(low.id)]


def test_a_fired_alert_stores_its_quote_and_notifies_its_user(
    feed: ScriptedFeed, clock: ManualClock
) -> None:
    alert = set_alert("alice", **request(above=25_100, below=24_900))
    clock.advance(30)
    tick = feed.set("^NSEI", "25100.55")
    clock.advance(2)

    assert fire_crossed([tick]) == 1

    fired = reload(alert)
    assert fired.trigger is not None
    assert (fired.trigger.direction, fired.trigger.quote) == (Direction.ABOVE, tick)
    assert fired.trigger.settled_from is None
    assert fired.triggered_at == clock.now()
    (event,) = events_of("alice")
    assert event.type == "price_alert"
    assert event.message == "^NSEI rose to ₹25,100.55. Your alert was set for ₹25,100.00 or above."
    assert event.data == {
        "alert_id": str(alert.id),
        "symbol": "^NSEI",
        "above": Decimal("25100.00"),
        "below": Decimal("24900.00"),
        "direction": "above",
        "price": Decimal("25100.55"),
        "source": "mock",
        "timestamp": tick.timestamp,
    }
    assert {delivery["channel"]: delivery["status"] for delivery in event.deliveries} == {
        "email": "recorded",
        "sms": "recorded",
    }


def test_of_two_levels_only_the_first_one_reached_fires(
    feed: ScriptedFeed,
) -> None:
    alert = set_alert("alice", **request(above=25_100, below=24_900))

    ticks = [feed.set("^NSEI", price) for price in (25_000, 24_800, 25_200)]
    assert fire_crossed(ticks) == 1
    assert fire_crossed([feed.set("^NSEI", 25_300)]) == 0

    crossing = reload(alert).trigger
    assert crossing is not None
    assert (crossing.direction, crossing.quote) == (Direction.BELOW, ticks[1])
    assert len(events_of("alice")) == 1


def test_repeated_ticks_fire_nothing_again(feed: ScriptedFeed) -> None:
    set_alert("alice", **request(above=25_100))
    set_alert("bob", **request(above=25_200))
    ticks = [feed.set("^NSEI", price) for price in (25_150, 25_250)]

    assert fire_crossed(ticks) == 2
    assert fire_crossed(ticks) == 0
    assert (len(events_of("alice")), len(events_of("bob"))) == (1, 1)


def test_alerts_fire_in_the_order_of_the_ticks_across_symbols(feed: ScriptedFeed) -> None:
    late = set_alert("alice", **request(above=25_200))
    other = set_alert("alice", **request("RELIANCE", below=1_390))
    early = set_alert("alice", **request(above=25_100))

    fire_crossed(
        [
            feed.set("^NSEI", 25_150),
            feed.set("RELIANCE.NS", 1_389),
            feed.set("^NSEI", 25_300),
        ]
    )

    alert_ids = [event.data["alert_id"] for event in events_of("alice")]
    assert alert_ids == [str(each.id) for each in (early, other, late)]


def test_one_tick_fires_more_alerts_than_fit_in_a_batch(feed: ScriptedFeed) -> None:
    count = BATCH_SIZE + 10
    insert_many(count)

    assert fire_crossed([feed.set("^NSEI", 26_000)]) == count
    assert len(events_of("alice")) == count


def test_a_fired_alert_keeps_its_first_quote(
    feed: ScriptedFeed, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    alerts = [set_alert("alice", **request(above=25_100)) for _ in range(2)]
    late = feed.set("^NSEI", 26_000)
    crossing = alerts[0].condition.crossed_by(late)
    assert crossing is not None
    firings = [AlertTrigger(alert, crossing) for alert in alerts]
    fire([firings[0]])
    fired = reload(alerts[0])
    clock.advance(5)

    again = run_transaction(lambda: Alert.trigger_many(firings[:1], clock.now()))
    assert (again, reload(alerts[0])) == (0, fired)
    # It is skipped without halving its batch.
    assert fire(firings) == 1
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_concurrent_passes_over_one_tick_fire_each_alert_once(
    app_context: Flask, feed: ScriptedFeed
) -> None:
    for user_id in ("alice", "bob"):
        for level in range(25_001, 25_011):
            set_alert(user_id, **request(above=level))
    tick = feed.set("^NSEI", 26_000)

    def fire_tick() -> int:
        with app_context.app_context():
            return fire_crossed([tick])

    assert sum(run_concurrently([fire_tick] * 4)) == 20
    assert (len(events_of("alice")), len(events_of("bob"))) == (10, 10)


def test_an_alert_deleted_while_it_fires_is_either_fired_or_deleted(
    app_context: Flask, feed: ScriptedFeed
) -> None:
    def fire_tick(tick: Quote) -> int:
        with app_context.app_context():
            return fire_crossed([tick])

    def delete(alert_id: str) -> int:
        with app_context.app_context():
            delete_alert("alice", alert_id)
        return 0

    for _ in range(10):
        alert = set_alert("alice", **request(above=25_100))
        tick = feed.set("^NSEI", 25_200)
        before = len(events_of("alice"))

        calls = [partial(fire_tick, tick), partial(delete, str(alert.id))]
        fired = sum(run_concurrently(calls))

        assert Alert.find_by_id("alice", alert.id) is None
        assert len(events_of("alice")) - before == fired
        feed.set("^NSEI", 25_000)


def test_a_deleted_alert_never_fires(feed: ScriptedFeed) -> None:
    alert = set_alert("alice", **request(above=25_100))
    delete_alert("alice", str(alert.id))

    assert fire_crossed([feed.set("^NSEI", 25_200)]) == 0
    assert events_of("alice") == []
    with pytest.raises(NotFound):
        delete_alert("alice", str(alert.id))


@pytest.mark.parametrize("real", [Source.YAHOO, Source.ANGEL_ONE])
def test_an_alert_set_at_a_real_price_is_not_fired_by_a_mock_one(
    feed: ScriptedFeed, real: Source
) -> None:
    feed.source = real
    feed.set("^NSEI", 25_000)
    set_alert("alice", **request(above=25_100))

    feed.source = Source.MOCK
    assert fire_crossed([feed.set("^NSEI", 25_200)]) == 0
    feed.source = real
    assert fire_crossed([feed.set("^NSEI", 25_200)]) == 1


def writing_meanwhile(step: Callable[[], object]) -> AbstractContextManager[None]:
    """Call `step` after the quote of a new alert was read and before the alert is written."""
    return before_command("insert", "alerts", step)


def test_a_tick_between_the_quote_and_the_commit_is_not_lost(feed: ScriptedFeed) -> None:
    def make_a_pass() -> None:
        """As the monitor: post a tick, then fire the alerts that it crosses."""
        services().quotes.update([feed.set("^NSEI", 25_200)])
        assert fire_crossed([feed.set("^NSEI", 25_200)]) == 0

    with writing_meanwhile(make_a_pass):
        alert = set_alert("alice", **request(above=25_100))

    assert alert.status is AlertStatus.ACTIVE
    assert reload(alert).status is AlertStatus.TRIGGERED
    (event,) = events_of("alice")
    assert event.data["price"] == 25_200
    assert fire_crossed([feed.set("^NSEI", 25_200)]) == 0


def test_a_tick_after_the_market_closed_fires_nothing(
    make_app: Callable[..., Flask], feed: ScriptedFeed, clock: ManualClock
) -> None:
    def close_and_post() -> None:
        clock.advance(2)
        services().quotes.update([feed.set("^NSEI", 25_200)])

    # 09:30 until 15:29:59 IST.
    clock.advance(6 * 3600 - 1)
    feed.set("^NSEI", 25_000)
    with (
        make_app(MARKET_HOURS="enforce").app_context(),
        writing_meanwhile(close_and_post),
    ):
        alert = set_alert("alice", **request(above=25_100))

        assert reload(alert).status is AlertStatus.ACTIVE


def test_a_listener_receives_an_alert_after_its_commit(
    app_context: Flask, feed: ScriptedFeed
) -> None:
    alert = set_alert("alice", **request(above=25_100))
    statuses: list[AlertStatus] = []

    def listen(_app: Flask, events: list[Notification]) -> None:
        statuses.extend(reload(alert).status for _ in events)

    with events_committed.connected_to(listen, sender=app_context):
        fire_crossed([feed.set("^NSEI", 25_200)])

    assert statuses == [AlertStatus.TRIGGERED]


def test_one_faulty_alert_does_not_stop_the_others_of_its_batch(feed: ScriptedFeed) -> None:
    alerts = [set_alert("alice", **request(above=25_100)) for _ in range(9)]
    # Its user is deleted, so its event cannot get a number.
    gone = {"$set": {"user_id": "unknown", "number": 99}}
    collection("alerts").update_one({"_id": alerts[4].id}, gone)

    assert fire_crossed([feed.set("^NSEI", 25_200)]) == 8

    assert [reload(alert).status for alert in alerts].count(AlertStatus.ACTIVE) == 1
    assert reload(alerts[4]).status is AlertStatus.ACTIVE
    assert len(events_of("alice")) == 8


@pytest.mark.parametrize(
    "bound", [{"below": {"$gte": Decimal(26_000)}}, {"above": {"$lte": Decimal(25_002)}}]
)
def test_the_alerts_that_a_tick_crosses_are_found_by_an_index(bound: Document) -> None:
    insert_many(200)

    winning = plan(collection("alerts").find({"waiting": True, "symbol": "^NSEI", **bound}))

    (side,) = bound
    assert "IXSCAN" in winning
    assert "COLLSCAN" not in winning
    assert side in winning


def test_a_tick_that_crosses_nothing_reads_none_of_many_alerts() -> None:
    insert_many(200)

    assert list(Alert.find_crossed("^NSEI", Decimal(24_000), Decimal(25_000))) == []
    assert list(Alert.find_crossed("TCS.NS", Decimal(1), Decimal(10**7))) == []
    found = list(Alert.find_crossed("^NSEI", Decimal(1), Decimal(25_003)))
    assert sorted(each.number for each in found) == [1, 2, 3]


def test_a_symbol_is_polled_while_any_user_has_an_alert_on_it(
    feed: ScriptedFeed, clock: ManualClock
) -> None:
    first = set_alert("alice", **request("RELIANCE", above=1_450))
    set_alert("bob", **request("RELIANCE", above=1_500))
    assert alerted_symbols() == {"RELIANCE.NS"}
    assert "RELIANCE.NS" in services().polled_symbols.symbols()
    clock.advance(120)

    delete_alert("alice", str(first.id))
    assert alerted_symbols() == {"RELIANCE.NS"}
    assert fire_crossed([feed.set("RELIANCE.NS", 1_501)]) == 1

    assert alerted_symbols() == set()
    assert "RELIANCE.NS" not in services().polled_symbols.symbols()


def test_the_alerts_on_a_default_index_are_not_searched(feed: ScriptedFeed) -> None:
    set_alert("alice", **request(above=25_500))
    kept = set_alert("alice", **request(above=26_000))

    with recording_commands() as commands:
        assert fire_crossed([feed.set("^NSEI", 25_600)]) == 1
        delete_alert("alice", str(kept.id))

    queries = [command["filter"] for command in commands if command.get("find") == "alerts"]
    assert {"waiting": True, "symbol": "^NSEI"} not in queries
    assert alerted_symbols() == {"^NSEI"}


def test_a_symbol_stays_polled_for_an_alert_that_is_being_written(
    clock: ManualClock,
) -> None:
    alert = set_alert("alice", **request("RELIANCE", above=1_450))
    clock.advance(120)
    # As another process does before it writes an alert.
    SymbolState.mark_alerted("RELIANCE.NS", clock.now())

    delete_alert("alice", str(alert.id))

    assert alerted_symbols() == {"RELIANCE.NS"}
    assert "RELIANCE.NS" in services().polled_symbols.symbols()


def test_numbers_of_deleted_alerts_are_not_reused_and_pages_are_complete() -> None:
    alerts = [set_alert("alice", **request(above=25_001 + n)) for n in range(12)]
    set_alert("bob", **request(above=26_000))
    for alert in alerts[3:8]:
        delete_alert("alice", str(alert.id))
    newest = set_alert("alice", **request(above=26_000))

    seen: list[int] = []
    cursor: str | None = None
    while True:
        page, cursor = list_alerts("alice", limit=3, cursor=int(cursor) if cursor else None)
        assert len(page) <= 3
        seen += [each.number for each in page]
        if cursor is None:
            break
    assert newest.number == 13
    assert seen == [13, 12, 11, 10, 9, 3, 2, 1]


@pytest.mark.parametrize(("price", "crossed"), [(25_000, 0), (25_003, 3)])
def test_a_tick_reads_only_the_documents_of_the_alerts_it_crosses(price: int, crossed: int) -> None:
    insert_many(200)
    query = {"waiting": True, "symbol": "^NSEI", "above": {"$lte": Decimal(price)}}

    stats = collection("alerts").find(query).explain()["executionStats"]

    assert (stats["nReturned"], stats["totalDocsExamined"]) == (crossed, crossed)
