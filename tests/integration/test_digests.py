"""Deliveries: one message for a burst, retried for a while, and never lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.clock import Clock
from app.database import collection
from app.database.transactions import run_transaction
from app.delivery.attempts import (
    FIRST_RETRY,
    MAX_ATTEMPTS,
    MAX_RETRY,
    draw_jitter,
    max_delay,
)
from app.delivery.messages import MAX_LINES, Message
from app.delivery.outbox import LEASE, Outbox
from app.delivery.senders import DeliveryError
from app.models import EventDraft, Notification, User
from app.monitor import Monitor
from tests.support.database_state import assert_invariants, documents
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.senders import CREDENTIALS, lines_of
from tests.support.users import Trader

# More than a batch of the outbox holds.
BURST = 205


class TimedSender:
    """A sender that records messages and the times of attempts, and raises `failure` while set."""

    outcome = "sent"

    def __init__(self, channel: str, clock: Clock) -> None:
        self.channel = channel
        self.failure: Exception | None = None
        self.delivered: list[tuple[str, Message]] = []
        self.tried_at: list[Any] = []
        self._clock = clock

    def send(self, user: User, message: Message) -> None:
        self.tried_at.append(self._clock.now())
        if self.failure:
            raise self.failure
        self.delivered.append((user.client_id, message))

    def verify(self) -> None:
        if self.failure:
            raise self.failure


@pytest.fixture
def variables() -> dict[str, Any]:
    """Settings with which events are queued for delivery; each test brings its senders."""
    return CREDENTIALS


@pytest.fixture
def email(clock: ManualClock) -> TimedSender:
    return TimedSender("email", clock)


@pytest.fixture
def sms(clock: ManualClock) -> TimedSender:
    return TimedSender("sms", clock)


@pytest.fixture
def outbox(app: Flask, clock: ManualClock, email: TimedSender, sms: TimedSender) -> Outbox:
    return Outbox(app, clock, [email, sms])


@pytest.fixture
def delivery_of(alice: Trader, outbox: Outbox) -> Callable[..., dict[str, Any]]:
    """Return how the newest notification of alice was delivered on a channel."""

    def newest(channel: str = "email") -> dict[str, Any]:
        deliveries = alice.notifications()[0]["deliveries"]
        return next(delivery for delivery in deliveries if delivery["channel"] == channel)

    return newest


def empty(outbox: Outbox) -> None:
    """Deliver everything that is due."""
    while outbox.run_once():
        pass


@pytest.mark.parametrize("size", [2, MAX_LINES + 1])
def test_a_burst_of_exits_is_one_message_per_user_and_channel(
    alice: Trader,
    bob: Trader,
    feed: ScriptedFeed,
    monitor: Monitor,
    outbox: Outbox,
    email: TimedSender,
    sms: TimedSender,
    size: int,
) -> None:
    for trader in (alice, bob):
        for number in range(size):
            answer = trader.create_trade(
                symbol="RELIANCE.NS", stop_loss=1_399 - number % 7, quantity=1
            )
            assert answer.status_code == 201, answer.text
    empty(outbox)
    email.delivered.clear()
    sms.delivered.clear()

    feed.tick("RELIANCE.NS", 1_390)
    assert monitor.run_once().closed == 2 * size
    empty(outbox)

    for postman in (email, sms):
        assert sorted(user for user, _ in postman.delivered) == sorted(
            (alice.client_id, bob.client_id)
        )
        for _, message in postman.delivered:
            assert message.subject == f"{size} events, in all loss ₹{10 * size}.00"
            assert message.text.count("Stop-loss hit") == min(size, MAX_LINES)
    for trader in (alice, bob):
        closures = trader.notifications(f"?limit={size}")
        assert {closure["type"] for closure in closures} == {"trade_auto_closed"}
        statuses = {
            (d["status"], d["attempts"]) for closure in closures for d in closure["deliveries"]
        }
        assert statuses == {("sent", 1)}
        assert_invariants(trader.client_id)


def test_a_burst_larger_than_a_batch_is_one_message_too(
    app: Flask, alice: Trader, bob: Trader, outbox: Outbox, clock: ManualClock, email: TimedSender
) -> None:
    owners = [alice.client_id] * BURST + [bob.client_id] * 2
    drafts = [
        EventDraft(user_id=owner, type="greeting", message="Hello.", data={}) for owner in owners
    ]
    with app.app_context():
        run_transaction(lambda: Notification.create(drafts, clock.now()))
    empty(outbox)

    assert len(email.delivered) == 2
    subjects = {user: message.subject for user, message in email.delivered}
    assert subjects == {
        alice.client_id: f"{BURST} events",
        bob.client_id: "2 events",
    }


def test_a_digest_lists_events_in_order_and_counts_the_rest(
    alice: Trader, outbox: Outbox, email: TimedSender
) -> None:
    for number in range(MAX_LINES + 5):
        alice.create_trade(symbol="RELIANCE.NS", quantity=number + 1)
    empty(outbox)

    ((_, message),) = email.delivered
    lines = lines_of(message)
    assert lines[0] == "Bought 1 RELIANCE.NS at ₹1,400.00."
    assert lines[MAX_LINES - 1].startswith(f"Bought {MAX_LINES} ")
    assert lines[MAX_LINES:] == ["... and 5 more."]


def test_a_failing_channel_is_retried_with_growing_delays_and_then_failed(
    alice: Trader,
    outbox: Outbox,
    email: TimedSender,
    sms: TimedSender,
    clock: ManualClock,
    delivery_of: Callable[..., dict[str, Any]],
) -> None:
    email.failure = DeliveryError("ConnectionRefusedError")
    alice.create_trade()
    for _ in range(5_000):
        empty(outbox)
        if delivery_of()["status"] == "failed":
            break
        assert delivery_of()["status"] == "pending"
        clock.advance(5)

    assert delivery_of()["attempts"] == len(email.tried_at) == MAX_ATTEMPTS
    assert delivery_of()["error"] == "ConnectionRefusedError"
    assert delivery_of()["at"]
    delays = [
        later - earlier for earlier, later in zip(email.tried_at, email.tried_at[1:], strict=False)
    ]
    for number, delay in enumerate(delays):
        longest = min(FIRST_RETRY * 2**number, MAX_RETRY)
        assert longest / 2 <= delay <= longest + timedelta(seconds=5)
    assert delays[-1] > 10 * delays[0]
    # The other channel went through the first time, and was left alone.
    assert delivery_of("sms")["status"] == "sent"
    assert len(sms.delivered) == 1
    clock.advance(10**6)
    assert outbox.run_once() == 0


def test_a_channel_that_recovers_delivers_the_pending_events(
    alice: Trader,
    outbox: Outbox,
    email: TimedSender,
    clock: ManualClock,
    delivery_of: Callable[..., dict[str, Any]],
) -> None:
    email.failure = DeliveryError("TimeoutError")
    alice.create_trade()
    empty(outbox)
    email.failure = None
    clock.advance(FIRST_RETRY.total_seconds())
    empty(outbox)

    assert (delivery_of()["status"], delivery_of()["attempts"]) == ("sent", 2)
    assert delivery_of()["error"] is None
    assert len(email.delivered) == 1


def test_a_permanent_failure_is_not_retried(
    alice: Trader, outbox: Outbox, sms: TimedSender, delivery_of: Callable[..., dict[str, Any]]
) -> None:
    sms.failure = DeliveryError("Twilio answered 400 (error 21211)", permanent=True)
    alice.create_trade()
    empty(outbox)
    assert (delivery_of("sms")["status"], delivery_of("sms")["attempts"]) == ("failed", 1)
    assert delivery_of("email")["status"] == "sent"


def test_an_unexpected_error_is_retried_like_any_other(
    alice: Trader,
    bob: Trader,
    outbox: Outbox,
    sms: TimedSender,
    email: TimedSender,
    delivery_of: Callable[..., dict[str, Any]],
) -> None:
    email.failure = ValueError("a header may not hold this")
    alice.create_trade()
    bob.create_trade()
    empty(outbox)

    assert (delivery_of()["status"], delivery_of()["error"], delivery_of()["attempts"]) == (
        "pending",
        "ValueError",
        1,
    )
    assert {user for user, _ in sms.delivered} == {alice.client_id, bob.client_id}


def test_jitter_spreads_retries_within_the_maximum_delay() -> None:
    delays = {max_delay(3) * draw_jitter() for _ in range(50)}
    assert len(delays) > 25
    assert all(FIRST_RETRY * 2 <= delay <= FIRST_RETRY * 4 for delay in delays)
    assert max(max_delay(10_000) * draw_jitter() for _ in range(50)) <= MAX_RETRY


def test_the_claim_of_a_dead_worker_is_delivered_after_its_lease(
    app: Flask, alice: Trader, outbox: Outbox, email: TimedSender, clock: ManualClock
) -> None:
    alice.create_trade()
    with app.app_context():
        ((user_id, ids),) = Notification.find_due(clock.now())
        owners = dict.fromkeys(ids, user_id)
        (claimed,) = Notification.claim(owners, clock.now(), LEASE).notifications
    assert claimed.user_id == alice.client_id

    clock.advance(LEASE.total_seconds() - 1)
    assert outbox.run_once() == 0
    clock.advance(2)
    assert outbox.run_once() == 1
    assert [user for user, _ in email.delivered] == [alice.client_id]


def test_a_worker_that_dies_after_sending_sends_twice_rather_than_never(
    alice: Trader, outbox: Outbox, email: TimedSender, clock: ManualClock
) -> None:
    alice.create_trade()
    (before,) = documents("notifications", user_id=alice.client_id)
    assert outbox.run_once() == 1
    # As after a crash between sending and saving.
    lost = {"deliveries": before["deliveries"], "deliver_at": clock.now() + LEASE}
    collection("notifications").update_one({"_id": before["_id"]}, {"$set": lost})
    clock.advance(LEASE.total_seconds())
    assert outbox.run_once() == 1

    assert len(email.delivered) == 2


def test_two_workers_share_the_work_and_send_nothing_twice(
    app: Flask,
    alice: Trader,
    bob: Trader,
    clock: ManualClock,
    email: TimedSender,
    outbox: Outbox,
) -> None:
    other = Outbox(app, clock, [email])
    for _ in range(3):
        alice.create_trade()
        bob.create_trade()
        outbox.run_once()
        other.run_once()

    assert len(email.delivered) == 6
