"""Retention: only documents older than their limit are deleted, and the sums stay correct."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from app.database.indexes import RESPONSES_KEPT
from app.models import IdempotencyKey, IdempotencyRecord, Inbox, Notification
from app.monitor import Monitor
from app.monitor.retention import ROUND_SECONDS, STATEMENTS_PER_STEP, Limits, Retention
from app.portfolio.reconciliation import find_differences
from config import ConfigurationError, Settings
from embedded_db.supervisor import EmbeddedDatabase
from tests.support.audit import embedded_uri
from tests.support.database_state import all_documents
from tests.support.execution import close_triggered
from tests.support.live import eventually
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection
from tests.support.server import ServerProcess
from tests.support.users import Trader, registration, sign_up

DAY = 24 * 3600
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("app_context")


@pytest.fixture
def retention(app: Flask) -> Callable[..., Result]:
    runner = app.test_cli_runner()
    return lambda *options: runner.invoke(args=["retention", *options])


def notify(trader: Trader, count: int) -> None:
    for number in range(count):
        body = {"event": "note", "message": f"note {number}"}
        assert trader.post("/notifications", body).status_code == 200


def notifications(trader: Trader) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = trader.get(f"/notifications?limit=5{cursor}").get_json()
        found += page["notifications"]
        if not page["next_cursor"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def read_all(trader: Trader, but: int = 0) -> None:
    for notification in notifications(trader)[but:]:
        path = f"/notifications/{notification['id']}/read"
        assert trader.put(path).status_code == 200


def seqs(trader: Trader) -> list[int]:
    return sorted(
        each["seq"] for each in collection("notifications").find({"user_id": trader.client_id})
    )


def expire_documents() -> None:
    """Have the server delete what its TTL indexes name, which it does by itself each minute."""
    admin = collection("answers").database.client.admin
    try:
        admin.command("secantusAdmin.pruneTtl")
    except OperationFailure:
        pytest.skip("deletes expired documents once a minute only")


def fire_alert(trader: Trader, feed: ScriptedFeed, monitor: Monitor) -> None:
    feed.tick("^NSEI", 25_000)
    monitor.run_once()
    assert trader.post("/market/alerts", {"symbol": "^NSEI", "above": 25_001}).status_code == 201
    feed.tick("^NSEI", 25_002)
    monitor.run_once()


def test_nothing_is_deleted_by_default(
    app: Flask, alice: Trader, clock: ManualClock, retention: Callable[..., Result]
) -> None:
    notify(alice, 5)
    read_all(alice)
    clock.advance(20 * 365 * DAY)
    before = all_documents()

    result = retention("--apply")

    assert result.exit_code == 0
    assert "for ever" in result.output
    with app.app_context():
        assert Retention(clock, Limits()).step() == 0
        assert all_documents() == before


def test_only_old_read_notifications_are_deleted(
    app_context: Flask,
    alice: Trader,
    bob: Trader,
    clock: ManualClock,
    retention: Callable[..., Result],
) -> None:
    alice.create_trade()
    notify(alice, 6)
    read_all(alice, but=2)
    notify(bob, 3)
    clock.advance(40 * DAY)
    notify(alice, 1)
    read_all(alice, but=3)
    before = all_documents()
    last = seqs(alice)[-1]

    seen = retention("--notifications-days", "30")
    assert seen.exit_code == 0
    assert "Nothing was deleted" in seen.output
    assert all_documents() == before
    done = retention("--notifications-days", "30", "--apply")

    assert done.exit_code == 0
    # Unread notifications stay at any age: alice's last two of the first six, and the new one.
    assert seqs(alice) == [last - 2, last - 1, last]
    assert len(seqs(bob)) == 3
    assert find_differences(alice.client_id) == find_differences(bob.client_id) == []
    assert len(notifications(alice)) == 3
    assert retention("--notifications-days", "30").output.count("for ever") == 2


def test_the_newest_event_stays_so_that_no_seq_is_reused(
    app_context: Flask, alice: Trader, clock: ManualClock, retention: Callable[..., Result]
) -> None:
    notify(alice, 4)
    read_all(alice)
    last = seqs(alice)[-1]
    clock.advance(100 * DAY)

    retention("--notifications-days", "1", "--apply")

    assert seqs(alice) == [last]
    assert find_differences(alice.client_id) == []
    notify(alice, 1)
    assert seqs(alice) == [last, last + 1]
    inbox = Inbox.find(alice.client_id)
    assert inbox is not None
    assert (inbox.event_seq, inbox.unread_count) == (last + 1, 1)


def test_undelivered_notifications_stay(
    alice: Trader, clock: ManualClock, retention: Callable[..., Result]
) -> None:
    notify(alice, 3)
    read_all(alice)
    first = seqs(alice)[0]
    collection("notifications").update_one(
        {"user_id": alice.client_id, "seq": first}, {"$set": {"deliver_at": clock.now()}}
    )
    clock.advance(100 * DAY)

    retention("--notifications-days", "1", "--apply")

    assert seqs(alice)[0] == first


def test_triggered_alerts_are_deleted_and_active_ones_stay(
    client: FlaskClient,
    alice: Trader,
    clock: ManualClock,
    feed: ScriptedFeed,
    monitor: Monitor,
    retention: Callable[..., Result],
) -> None:
    fire_alert(alice, feed, monitor)
    assert alice.post("/market/alerts", {"symbol": "^NSEI", "above": 26_000}).status_code == 201
    clock.advance(10 * DAY)
    feed.tick("^NSEI", 25_000)
    fire_alert(alice, feed, monitor)

    retention("--alerts-days", "5", "--apply")

    listed = alice.get("/market/alerts").get_json()["alerts"]
    assert [each["status"] for each in listed] == ["TRIGGERED", "ACTIVE"]
    fire_alert(alice, feed, monitor)
    assert len(alice.get("/market/alerts").get_json()["alerts"]) == 3


def test_trades_are_never_deleted(
    app_context: Flask,
    alice: Trader,
    clock: ManualClock,
    feed: ScriptedFeed,
    retention: Callable[..., Result],
) -> None:
    alice.create_trade(stop_loss=24_990)
    close_triggered([feed.set("^NSEI", 24_980)])
    clock.advance(5_000 * DAY)
    before = list(collection("trades").find())

    retention("--notifications-days", "1", "--alerts-days", "1", "--apply")

    assert list(collection("trades").find()) == before
    assert find_differences(alice.client_id) == []


def test_the_monitor_checks_all_users_in_small_steps_once_a_day(
    app: Flask, client: FlaskClient, clock: ManualClock
) -> None:
    traders = [sign_up(client) for _ in range(3)]
    for trader in traders:
        notify(trader, 3)
        read_all(trader)
    clock.advance(40 * DAY)
    retention = Retention(clock, Limits(notifications_days=30))

    assert retention.step() == 6
    assert [len(seqs(trader)) for trader in traders] == [1, 1, 1]
    notify(traders[0], 1)
    read_all(traders[0])
    assert retention.step() == 0
    clock.advance(ROUND_SECONDS)
    assert retention.step() == 1


def test_a_step_is_bounded_and_the_next_one_continues(
    app_context: Flask, alice: Trader, clock: ManualClock
) -> None:
    notify(alice, STATEMENTS_PER_STEP + 20)
    collection("notifications").update_many({}, {"$set": {"is_read": True}})
    collection("inboxes").update_many({}, {"$set": {"unread_count": 0}})
    clock.advance(40 * DAY)
    retention = Retention(clock, Limits(notifications_days=30), window_size=1)

    first = retention.step()
    assert 0 < first < STATEMENTS_PER_STEP
    rest = 0
    while len(seqs(alice)) > 1:
        deleted = retention.step()
        assert 0 < deleted <= STATEMENTS_PER_STEP
        rest += deleted

    assert first + rest == STATEMENTS_PER_STEP + 19
    assert find_differences(alice.client_id) == []


def test_pages_and_replay_skip_deleted_notifications(
    app: Flask, alice: Trader, clock: ManualClock, retention: Callable[..., Result]
) -> None:
    notify(alice, 3)
    unread = seqs(alice)[0]
    collection("notifications").update_many({"seq": {"$gt": unread}}, {"$set": {"is_read": True}})
    clock.advance(40 * DAY)
    notify(alice, 2)
    last = seqs(alice)[-1]

    retention("--notifications-days", "30", "--apply")

    assert seqs(alice) == [unread, last - 1, last]
    assert [event.seq for event in Notification.find_after(alice.client_id, 0, last)] == seqs(alice)
    assert len(notifications(alice)) == 3


@pytest.mark.parametrize("value", ["0", "-1", "x", "36501"])
@pytest.mark.parametrize("name", ["RETENTION_NOTIFICATIONS_DAYS", "RETENTION_ALERTS_DAYS"])
def test_an_invalid_number_of_days_is_refused(
    make_settings: Callable[..., Settings], name: str, value: str
) -> None:
    with pytest.raises(ConfigurationError, match=name):
        make_settings(**{name: value})


def test_the_retention_period_is_configured(make_settings: Callable[..., Settings]) -> None:
    assert Limits.of(make_settings()).is_empty
    given = make_settings(RETENTION_NOTIFICATIONS_DAYS=90, RETENTION_ALERTS_DAYS=30)
    assert Limits.of(given) == Limits(90, 30)


def test_the_result_of_a_request_expires_a_week_after_it() -> None:
    def save(key: str, age: timedelta) -> None:
        record = IdempotencyKey("alice", key, "fingerprint")
        IdempotencyRecord.save(record, {"done": True}, datetime.now(UTC) - age)

    save("expired", RESPONSES_KEPT + timedelta(minutes=1))
    save("kept", RESPONSES_KEPT - timedelta(minutes=1))

    expire_documents()

    assert IdempotencyRecord.find(IdempotencyKey("alice", "expired", "fingerprint")) is None
    assert IdempotencyRecord.find(IdempotencyKey("alice", "kept", "fingerprint")) is not None


def test_codes_and_caps_expire_when_they_are_useless() -> None:
    past, future = datetime.now(UTC) - timedelta(seconds=1), datetime.now(UTC) + timedelta(hours=1)
    for name in ("codes", "quotas"):
        collection(name).insert_many(
            [{"_id": "past", "purge_at": past}, {"_id": "future", "purge_at": future}]
        )

    expire_documents()

    for name in ("codes", "quotas"):
        assert [each["_id"] for each in collection(name).find()] == ["future"]


def test_a_running_server_deletes_old_notifications(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server()
    database = EmbeddedDatabase(server.folder / "data")
    server.start()
    body = registration()
    user_id = server.request("POST", "/auth/register", json=body).json()["client_id"]
    server.stop()
    database.start()
    with MongoClient[dict[str, Any]](database.uri) as client:
        paper = client.paper_trading
        paper.inboxes.update_one({"_id": user_id}, {"$set": {"event_seq": 3}})
        paper.notifications.insert_many(
            {"user_id": user_id, "seq": seq, "is_read": True, "created_at": LONG_AGO}
            for seq in (1, 2, 3)
        )
    database.stop()
    server.environment["RETENTION_NOTIFICATIONS_DAYS"] = "30"
    server.start()

    with MongoClient[dict[str, Any]](embedded_uri(server.folder / "data")) as client:
        kept = client.paper_trading.notifications
        eventually(lambda: [each["seq"] for each in kept.find()] == [3], 30)
