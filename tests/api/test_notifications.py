"""Sending, listing and reading notifications."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from app.monitor import Monitor
from app.notifications import service
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import NOTIFICATION, assert_error, assert_shape, text, time, whole
from tests.support.senders import CREDENTIALS
from tests.support.users import Trader, sign_up


def send(trader: Trader, event: str = "note", message: str = "Hello") -> None:
    answer = trader.post("/notifications", {"event": event, "message": message})
    assert answer.status_code == 200, answer.text


def seqs(trader: Trader, query: str = "") -> list[int]:
    return [each["seq"] for each in trader.notifications(query)]


def test_a_notification_sent_is_listed_as_its_own_event(carol: Trader) -> None:
    answer = carol.post("/notifications", {"event": "price_alert", "message": "NIFTY is up"})

    assert answer.status_code == 200
    assert answer.get_json() == {"message": "Notification sent"}
    (kept,) = carol.notifications()
    assert_shape(kept, NOTIFICATION)
    assert (kept["type"], kept["message"]) == ("price_alert", "NIFTY is up")
    assert (kept["seq"], kept["is_read"]) == (1, False)
    assert kept["created_at"] == "2026-11-23T04:00:00.000Z"


@pytest.mark.parametrize(
    ("variables", "status", "attempts"), [({}, "recorded", 1), (CREDENTIALS, "pending", 0)]
)
def test_a_delivery_is_pending_if_a_sender_is_configured_and_recorded_otherwise(
    carol: Trader, status: str, attempts: int
) -> None:
    send(carol)

    (kept,) = carol.notifications()
    assert [each["channel"] for each in kept["deliveries"]] == ["email", "sms"]
    for delivery in kept["deliveries"]:
        assert {"channel", "status", "attempts"} <= set(delivery)
        assert (delivery["status"], delivery["attempts"]) == (status, attempts)
        assert delivery.get("at") == (kept["created_at"] if attempts else None)


def test_each_trade_event_is_a_notification(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    kept = alice.create_trade(quantity=2).get_json()
    alice.create_trade(trade_type="SELL", stop_loss=25_010)
    feed.tick("^NSEI", "25010.50")
    monitor.run_once()
    alice.post(f"/trades/exit/{kept['trade_id']}")

    exited, closed, sold, bought = alice.notifications()
    for each in (exited, closed, sold, bought):
        assert_shape(each, NOTIFICATION)
    assert [each["seq"] for each in (exited, closed, sold, bought)] == [4, 3, 2, 1]
    assert [each["type"] for each in (bought, sold, closed, exited)] == [
        "trade_created",
        "trade_created",
        "trade_auto_closed",
        "trade_exited",
    ]
    assert bought["data"]["trade_id"] == exited["data"]["trade_id"] == kept["trade_id"]
    assert time(bought["data"]["created_at"])
    assert bought["message"] == "Bought 2 ^NSEI at ₹25,000.00."
    assert sold["message"] == "Sold 1 ^NSEI at ₹25,000.00 with stop-loss ₹25,010.00."
    assert exited["message"] == "Exited your BUY of 2 ^NSEI at ₹25,010.50: a profit of ₹21.00."
    assert sold["data"]["available_margin"] == 85_000.0
    assert exited["data"]["pnl"] == 21.0
    assert closed["data"]["reason"] == "stop_loss"
    assert closed["message"] == (
        "Stop-loss hit: your SELL of 1 ^NSEI was closed at ₹25,010.50, a loss of ₹10.50."
    )


def test_the_list_is_newest_first_and_pages_to_the_end(carol: Trader) -> None:
    for number in range(7):
        send(carol, message=f"message {number}")

    seen: list[int] = []
    cursor = None
    while True:
        query = "?limit=3" + (f"&cursor={cursor}" if cursor else "")
        body = carol.get(f"/notifications{query}").get_json()
        assert set(body) == {"notifications", "unread_count", "next_cursor"}
        assert whole(body["unread_count"])
        assert len(body["notifications"]) <= 3
        seen += [each["seq"] for each in body["notifications"]]
        cursor = body["next_cursor"]
        if cursor is None:
            break
        assert text(cursor)
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_reading_one_changes_the_count_and_the_filter(carol: Trader) -> None:
    for _ in range(3):
        send(carol)
    middle = carol.notifications()[1]

    answer = carol.put(f"/notifications/{middle['id']}/read")

    assert answer.status_code == 200
    assert carol.get("/notifications").get_json()["unread_count"] == 2
    assert seqs(carol, "?unread=true") == [3, 1]
    assert seqs(carol, "?unread=false") == [2]
    assert seqs(carol) == [3, 2, 1]
    assert carol.notifications()[1]["is_read"] is True


def test_the_unread_filter_pages_to_the_end(carol: Trader) -> None:
    for _ in range(6):
        send(carol)
    for each in carol.notifications()[1:5]:
        carol.put(f"/notifications/{each['id']}/read")

    first = carol.get("/notifications?unread=true&limit=1").get_json()
    assert [each["seq"] for each in first["notifications"]] == [6]
    assert first["unread_count"] == 2
    rest = carol.get(f"/notifications?unread=true&limit=1&cursor={first['next_cursor']}").get_json()
    assert [each["seq"] for each in rest["notifications"]] == [1]
    assert rest["next_cursor"] is None


def test_reading_one_twice_counts_once(carol: Trader) -> None:
    send(carol)
    send(carol)
    (newest, _) = carol.notifications()

    for _ in range(2):
        assert carol.put(f"/notifications/{newest['id']}/read").status_code == 200
    assert carol.get("/notifications").get_json()["unread_count"] == 1


def test_all_are_marked_as_read_at_once(alice: Trader, bob: Trader) -> None:
    for _ in range(3):
        send(alice)
        send(bob)
    before = len(alice.notifications("?unread=true&limit=500"))

    for count in (before, 0):
        answer = alice.put("/notifications/read")
        assert answer.status_code == 200, answer.text
        assert answer.get_json() == {
            "message": "Notifications read",
            "count": count,
            "unread_count": 0,
        }
    assert seqs(alice, "?unread=true") == []
    assert alice.get("/notifications").get_json()["unread_count"] == 0
    assert bob.get("/notifications").get_json()["unread_count"] == 3


def test_what_arrived_after_the_last_seen_stays_unread(carol: Trader) -> None:
    for _ in range(4):
        send(carol)
    carol.put(f"/notifications/{carol.notifications()[-1]['id']}/read")

    answer = carol.put("/notifications/read", json={"up_to_seq": 3})

    assert (answer.get_json()["count"], answer.get_json()["unread_count"]) == (2, 1)
    assert seqs(carol, "?unread=true") == [4]


def test_a_long_backlog_is_marked_in_several_transactions(
    carol: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "READ_BATCH", 2)
    for _ in range(5):
        send(carol)

    assert carol.put("/notifications/read").get_json()["count"] == 5
    assert carol.get("/notifications").get_json()["unread_count"] == 0


def test_a_deleted_user_has_nothing_to_mark(deleted_user: Trader) -> None:
    assert_error(deleted_user.put("/notifications/read"), 401, "account_gone")


def test_anothers_notification_is_unknown_and_stays_unread(alice: Trader, bob: Trader) -> None:
    send(alice)
    (hers,) = alice.notifications()

    assert_error(bob.put(f"/notifications/{hers['id']}/read"), 404, "notification_not_found")
    assert alice.get("/notifications").get_json()["unread_count"] == 1
    assert bob.get("/notifications").get_json() == {
        "notifications": [],
        "unread_count": 0,
        "next_cursor": None,
    }


def test_an_unknown_or_bad_id_is_a_404(carol: Trader) -> None:
    for bad in ("6564f0c0c0c0c0c0c0c0c0c0", "x", "%24ne", "1" * 23):
        assert_error(carol.put(f"/notifications/{bad}/read"), 404, "notification_not_found")


def test_an_invalid_notification_is_refused_by_field(
    deleted_user: Trader, subtests: pytest.Subtests
) -> None:
    wrong = [
        ("event", ""),
        ("event", "  "),
        ("event", "e" * 65),
        ("event", None),
        ("event", 5),
        ("event", {"$gt": ""}),
        ("message", ""),
        ("message", "m" * 2_001),
        ("message", ["hello"]),
        ("user_id", "bob"),
    ]
    for field, value in wrong:
        with subtests.test(field=field, value=repr(value)[:30]):
            body = {"event": "note", "message": "Hello", field: value}
            answer = deleted_user.post("/notifications", body)
            assert set(assert_error(answer, 400, "validation_error")) == {field}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("unread=maybe", "unread"),
        ("cursor=-1", "cursor"),
        ("since=1", "since"),
    ],
)
def test_a_query_that_cannot_be_used_is_refused_by_name(
    deleted_user: Trader, query: str, field: str
) -> None:
    answer = deleted_user.get(f"/notifications?{query}")
    assert set(assert_error(answer, 400, "validation_error")) == {field}


@pytest.mark.timeout(20)
def test_a_cursor_far_above_every_notification_is_the_beginning(carol: Trader) -> None:
    send(carol)
    for cursor in (2, 10**6, 2**53):
        assert seqs(carol, f"?cursor={cursor}") == [1]


def test_five_a_minute_may_be_sent_however_high_other_limits_are(
    make_app: Callable[..., Flask], clock: ManualClock
) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="100000 per hour")
    trader = sign_up(app.test_client())
    other = sign_up(app.test_client())

    for _ in range(5):
        send(trader)
    refused = trader.post("/notifications", {"event": "note", "message": "one too many"})

    assert_error(refused, 429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Limit"] == "5"
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert len(trader.notifications()) == 5
    send(other)
