"""The outbox: every notification is delivered, in digests, with retries, by one worker only."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask

from app.delivery import Outbox
from app.delivery.attempts import MAX_ATTEMPTS, MAX_RETRY
from app.delivery.messages import MAX_LINES
from app.delivery.outbox import BATCH_SIZE, LEASE
from app.delivery.senders import DeliveryError
from app.models import Notification
from app.notifications.service import send
from app.trades.service import open_trade
from tests.support.concurrency import run_concurrently, running
from tests.support.factories import create_users, draft, notify, order
from tests.support.market import ManualClock
from tests.support.own_client import collection
from tests.support.senders import (
    CREDENTIALS,
    RECORDING,
    SECONDS,
    FakeSender,
    lines_of,
)


class CountedClock(ManualClock):
    """A clock that counts how often it was read."""

    def __init__(self) -> None:
        super().__init__()
        self._looks = 0
        self._looked = threading.Condition()

    def now(self) -> datetime:
        with self._looked:
            self._looks += 1
            self._looked.notify_all()
        return super().now()

    def wait_for_looks(self, count: int) -> None:
        with self._looked:
            assert self._looked.wait_for(lambda: self._looks >= count, SECONDS)


@pytest.fixture
def variables() -> dict[str, Any]:
    """With credentials, so that events are written to be sent; each test has its own senders."""
    return CREDENTIALS


@pytest.fixture
def outbox(app_context: Flask, clock: ManualClock, email: FakeSender, sms: FakeSender) -> Outbox:
    create_users("alice", "bob")
    return Outbox(app_context, clock, [email, sms])


def deliveries(client_id: str = "alice", seq: int = 1) -> dict[str, dict[str, Any]]:
    (event,) = Notification.find_after(client_id, seq - 1, seq)
    return {delivery["channel"]: delivery for delivery in event.deliveries}


def next_due() -> datetime | None:
    return Notification.next_due(datetime.max.replace(tzinfo=UTC))


def claim(now: datetime, limit: int = BATCH_SIZE) -> list[Notification]:
    """Claim up to `limit` due notifications, as a worker does."""
    due = [(id, user_id) for user_id, ids in Notification.find_due(now) for id in ids]
    return Notification.claim(dict(due[:limit]), now, LEASE).notifications


def statuses(client_id: str = "alice", seq: int = 1) -> dict[str, str]:
    return {channel: each["status"] for channel, each in deliveries(client_id, seq).items()}


def test_pending_notifications_are_recorded_when_the_credentials_are_removed(
    app_context: Flask, clock: ManualClock
) -> None:
    create_users("alice")
    open_trade("alice", order())
    outbox = Outbox(app_context, clock, RECORDING)

    assert outbox.run_once() == 1

    at = clock.now()
    assert deliveries() == {
        channel: {"channel": channel, "status": "recorded", "attempts": 1, "at": at}
        for channel in ("email", "sms")
    }
    assert next_due() is None
    assert outbox.run_once() == 0


def test_a_listing_has_the_longest_due_notifications_up_to_its_limit(
    outbox: Outbox, clock: ManualClock
) -> None:
    first, second, third = notify(draft("bob"), draft("alice"), draft("alice"))
    for event, minutes in ((first, 1), (second, 3), (third, 2)):
        due = {"$set": {"deliver_at": clock.now() - timedelta(minutes=minutes)}}
        collection("notifications").update_one({"_id": event.id}, due)

    assert Notification.find_due(clock.now(), 2) == [("alice", [second.id, third.id])]


def test_a_notification_is_sent_once_on_each_channel(
    outbox: Outbox, email: FakeSender, sms: FakeSender
) -> None:
    notify(draft(message="Bought."))

    outbox.run_once()
    outbox.run_once()

    for box in (email, sms):
        assert [(to, lines_of(message)) for to, message in box.sent] == [("alice", ["Bought."])]
    assert statuses() == {"email": "sent", "sms": "sent"}


def test_a_burst_is_one_message_per_user_and_channel(
    outbox: Outbox, email: FakeSender, sms: FakeSender
) -> None:
    notify(*(draft(message=f"Event {n}.") for n in range(50)), draft("bob", "Only one."))

    assert outbox.run_once() == 51

    for box in (email, sms):
        letters = dict(box.sent)
        assert len(box.sent) == 2
        assert lines_of(letters["bob"]) == ["Only one."]
        assert lines_of(letters["alice"])[:2] == ["Event 0.", "Event 1."]
        assert lines_of(letters["alice"])[MAX_LINES:] == [f"... and {50 - MAX_LINES} more."]
    assert {tuple(statuses(seq=n).values()) for n in range(1, 51)} == {("sent", "sent")}


def test_more_than_a_batch_is_delivered_batch_by_batch(
    app_context: Flask, clock: ManualClock, email: FakeSender
) -> None:
    create_users("alice", "bob")
    outbox = Outbox(app_context, clock, [email], batch_size=20)
    for user_id in ("alice", "bob"):
        notify(*(draft(user_id) for _ in range(20)))

    assert [outbox.run_once() for _ in range(3)] == [20, 20, 0]


def test_a_failed_delivery_is_retried_only_on_its_channel(
    outbox: Outbox, email: FakeSender, sms: FakeSender, clock: ManualClock
) -> None:
    sms.failure = DeliveryError("the line is busy")
    notify(draft())
    began = clock.now()

    outbox.run_once()

    assert statuses() == {"email": "sent", "sms": "pending"}
    assert deliveries()["sms"]["error"] == "the line is busy"
    due = next_due()
    assert due is not None
    assert timedelta(seconds=5) <= due - began <= timedelta(seconds=10)
    clock.advance(4)
    assert outbox.run_once() == 0
    sms.failure = None
    clock.advance(7)
    assert outbox.run_once() == 1
    assert (len(email.sent), len(sms.sent)) == (1, 1)
    assert deliveries()["sms"] == {
        "channel": "sms",
        "status": "sent",
        "attempts": 2,
        "at": clock.now(),
    }
    assert next_due() is None


def test_a_delivery_that_keeps_failing_ends_as_failed(
    outbox: Outbox, email: FakeSender, sms: FakeSender, clock: ManualClock
) -> None:
    email.failure = DeliveryError("no route")
    notify(draft())
    waits = []
    while outbox.run_once():
        due = next_due()
        if due is None:
            break
        waits.append(due - clock.now())
        clock.advance((due - clock.now()).total_seconds() + 0.001)

    assert email.tries == MAX_ATTEMPTS
    assert len(waits) == MAX_ATTEMPTS - 1
    assert all(a < b for a, b in zip(waits, waits[2:], strict=False))
    assert max(waits) <= MAX_RETRY
    assert statuses() == {"email": "failed", "sms": "sent"}
    assert deliveries()["email"]["attempts"] == MAX_ATTEMPTS
    assert len(sms.sent) == 1


def test_a_permanent_error_is_not_retried(
    outbox: Outbox, email: FakeSender, clock: ManualClock
) -> None:
    email.failure = DeliveryError("no such address", permanent=True)
    notify(draft())

    outbox.run_once()
    clock.advance(86_400)

    assert outbox.run_once() == 0
    assert email.tries == 1
    assert statuses() == {"email": "failed", "sms": "sent"}


def test_an_error_of_one_message_does_not_delay_the_others(
    outbox: Outbox, email: FakeSender, sms: FakeSender
) -> None:
    email.failure, email.fails_for = ValueError("secret inside"), "alice"
    notify(draft("alice"), draft("bob"))

    outbox.run_once()

    assert [to for to, _ in email.sent] == ["bob"]
    assert sorted(to for to, _ in sms.sent) == ["alice", "bob"]
    assert statuses("bob") == {"email": "sent", "sms": "sent"}
    assert statuses("alice") == {"email": "pending", "sms": "sent"}
    assert deliveries()["email"]["error"] == "ValueError"


def test_messages_for_a_deleted_user_fail(outbox: Outbox, email: FakeSender) -> None:
    notify(draft())
    collection("users").delete_one({"client_id": "alice"})

    outbox.run_once()

    assert email.sent == []
    assert statuses() == {"email": "failed", "sms": "failed"}
    assert deliveries()["email"]["error"] == "the user is gone"
    assert next_due() is None


def test_two_workers_never_deliver_one_notification_twice(
    app_context: Flask,
    outbox: Outbox,
    clock: ManualClock,
    email: FakeSender,
    sms: FakeSender,
) -> None:
    other = Outbox(app_context, clock, [email, sms])
    notify(*(draft(user, f"{user} {n}") for n in range(10) for user in ("alice", "bob")))

    counts = run_concurrently([outbox.run_once, other.run_once, outbox.run_once, other.run_once])

    assert sum(counts) == 20
    lines = [line for _, message in email.sent for line in lines_of(message)]
    assert sorted(lines) == sorted(f"{user} {n}" for n in range(10) for user in ("alice", "bob"))


def test_notifications_claimed_by_a_dead_worker_are_due_again_after_its_lease(
    outbox: Outbox, clock: ManualClock, email: FakeSender
) -> None:
    notify(draft())
    (taken,) = claim(clock.now())

    assert outbox.run_once() == 0
    clock.advance(LEASE.total_seconds() - 1)
    assert outbox.run_once() == 0
    clock.advance(1)
    assert outbox.run_once() == 1
    assert len(email.sent) == 1
    assert taken.user_id == "alice"


def test_concurrent_claims_are_disjoint(outbox: Outbox, clock: ManualClock) -> None:
    for _ in range(4):
        notify(*(draft() for _ in range(40)))

        claims = run_concurrently([partial(claim, clock.now(), limit) for limit in (5, 20, 40)])

        claimed = [each.id for taken in claims for each in taken]
        assert len(claimed) == len(set(claimed)) >= 5


def test_a_worker_delivers_waiting_notifications_and_wakes_up_for_new_ones(
    app_context: Flask, email: FakeSender, sms: FakeSender
) -> None:
    create_users("alice")
    clock = CountedClock()
    notify(draft(message="Left over."))

    with running(Outbox(app_context, clock, [email, sms])):
        for n in range(1, 5):
            sms.wait_for(n)
            # It reads the clock six times per message, and twice to find no more.
            clock.wait_for_looks(8 * n)
            send("alice", "greeting", f"Hello {n}.")
        email.wait_for(5)

    texts = [line for _, message in email.sent for line in lines_of(message)]
    assert texts == ["Left over.", *(f"Hello {n}." for n in range(1, 5))]


def test_a_worker_retries_when_the_retry_is_due(
    outbox: Outbox, email: FakeSender, clock: ManualClock
) -> None:
    email.failure = DeliveryError("busy")
    notify(draft())
    outbox.run_once()
    email.failure = None
    clock.advance(60)

    with running(outbox):
        email.wait_for(1)

    assert statuses() == {"email": "sent", "sms": "sent"}


def test_an_idle_worker_stops_immediately(outbox: Outbox) -> None:
    with running(outbox) as thread:
        outbox.stop()
        thread.join(SECONDS)

        assert not thread.is_alive()
