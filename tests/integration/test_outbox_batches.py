"""The outbox with long backlogs, slow batches, preferences and balances."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from flask import Flask

from app.database import Document
from app.database.transactions import run_transaction
from app.delivery import Outbox
from app.delivery.outbox import LEASE, RENEW_SECONDS
from app.delivery.senders import DeliveryError
from app.domain.side import TradeType
from app.models import EventType, Inbox, Notification, Preferences
from app.monitor import Monitor
from app.notifications.service import send
from app.trades.exits import exit_trade
from app.trades.service import open_trade
from tests.support.factories import create_users, draft, notify, order
from tests.support.faults import recording_commands
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection
from tests.support.senders import CREDENTIALS, RECORDING, FakeSender, lines_of

USERS = [f"user{n}" for n in range(6)]


@pytest.fixture
def variables() -> dict[str, Any]:
    """With credentials, so that events are written to be sent; each test has its own senders."""
    return CREDENTIALS


def listings(commands: Iterable[Document]) -> list[Document]:
    """Return the commands that list due notifications."""
    return [
        command
        for command in commands
        if command.get("find") == "notifications" and "deliver_at" in command.get("sort", {})
    ]


@pytest.fixture
def make_outbox(
    app_context: Flask, clock: ManualClock, email: FakeSender, sms: FakeSender
) -> Callable[..., Outbox]:
    create_users("alice", *USERS)
    return partial(Outbox, app_context, clock, [email, sms])


@pytest.fixture
def outbox(make_outbox: Callable[..., Outbox]) -> Outbox:
    return make_outbox()


@pytest.fixture
def other_email() -> FakeSender:
    return FakeSender("email")


@pytest.fixture
def other(
    app_context: Flask, outbox: Outbox, clock: ManualClock, other_email: FakeSender
) -> Outbox:
    """Another worker on the same database."""
    return Outbox(app_context, clock, [other_email, FakeSender("sms")])


def prefer(client_id: str = "alice", **preferences: Any) -> None:
    chosen = Preferences.choose(**{"email": True, "sms": True, "events": None, **preferences})
    run_transaction(lambda: Inbox.save_preferences(client_id, chosen))


def statuses(client_id: str = "alice", seq: int = 1) -> dict[str, str]:
    (event,) = Notification.find_after(client_id, seq - 1, seq)
    return {delivery["channel"]: delivery["status"] for delivery in event.deliveries}


def waiting() -> int:
    """Return the number of notifications that are still to be delivered."""
    return collection("notifications").count_documents({"deliver_at": {"$exists": True}})


def test_a_backlog_of_several_batches_is_listed_once(
    make_outbox: Callable[..., Outbox], email: FakeSender
) -> None:
    outbox = make_outbox(batch_size=10)
    for user_id in USERS:
        notify(*(draft(user_id) for _ in range(10)))

    with recording_commands() as commands:
        assert [outbox.run_once() for _ in USERS] == [10] * len(USERS)
    assert len(listings(commands)) == 1
    with recording_commands() as commands:
        assert outbox.run_once() == 0
    assert len(listings(commands)) == 1
    assert len(email.sent) == len(USERS)


def test_a_notification_due_during_a_long_backlog_is_found_within_a_minute(
    make_outbox: Callable[..., Outbox], clock: ManualClock, email: FakeSender
) -> None:
    outbox = make_outbox(batch_size=1)
    for user_id in USERS:
        notify(draft(user_id, "Old."))
    outbox.run_once()
    notify(draft(USERS[3], "New."))
    clock.advance(60)
    for _ in USERS:
        outbox.run_once()

    letters = dict(email.sent)
    assert lines_of(letters[USERS[3]]) == ["Old.", "New."]
    assert waiting() == 0


def test_a_flood_of_events_of_one_user_becomes_digests_of_limited_size(
    make_outbox: Callable[..., Outbox], email: FakeSender
) -> None:
    outbox = make_outbox(batch_size=10, max_digest=20)
    notify(*(draft() for _ in range(45)))

    assert [outbox.run_once() for _ in range(4)] == [20, 20, 5, 0]
    assert [message.events for _, message in email.sent] == [20, 20, 5]


def test_a_worker_renews_the_lease_of_a_slow_batch(
    outbox: Outbox, other: Outbox, clock: ManualClock, email: FakeSender
) -> None:
    for user_id in USERS:
        notify(draft(user_id))

    def take_time() -> None:
        clock.advance(LEASE.total_seconds() / 3)
        assert other.run_once() == 0

    email.meanwhile = take_time

    assert outbox.run_once() == len(USERS)
    assert sorted(user for user, _ in email.sent) == USERS
    assert waiting() == 0


@pytest.mark.parametrize("permanent", [False, True])
def test_a_frozen_worker_skips_what_another_worker_has_claimed_meanwhile(
    outbox: Outbox,
    other: Outbox,
    clock: ManualClock,
    email: FakeSender,
    permanent: bool,
    other_email: FakeSender,
) -> None:
    for user_id in USERS:
        notify(draft(user_id))

    def freeze() -> None:
        email.meanwhile = None
        clock.advance(LEASE.total_seconds())
        assert other.run_once() == len(USERS)
        email.failure = DeliveryError("too late", permanent=permanent)

    email.meanwhile = freeze
    outbox.run_once()

    # It tried only its current message, and the result of that attempt is discarded.
    assert email.tries == 1
    assert sorted(user for user, _ in other_email.sent) == USERS
    assert statuses(USERS[0]) == {"email": "sent", "sms": "sent"}
    assert waiting() == 0
    assert outbox.run_once() == 0


def test_a_stopped_worker_releases_the_rest_of_its_batch(
    outbox: Outbox, other: Outbox, email: FakeSender
) -> None:
    for user_id in USERS:
        notify(draft(user_id))
    email.meanwhile = outbox.stop

    outbox.run_once()

    assert [user for user, _ in email.sent] == USERS[:1]
    assert other.run_once() == len(USERS) - 1


def test_a_failed_digest_is_retried_as_one_message(
    outbox: Outbox, email: FakeSender, clock: ManualClock
) -> None:
    email.failure = DeliveryError("busy")
    notify(*(draft(message=f"{n}.") for n in range(5)))
    outbox.run_once()
    email.failure = None
    while not (retried := outbox.run_once()):
        clock.advance(0.1)

    assert retried == 5
    assert [lines_of(message) for _, message in email.sent] == [["0.", "1.", "2.", "3.", "4."]]


def test_a_channel_waits_for_its_retry_after_and_the_other_does_not(
    outbox: Outbox, email: FakeSender, sms: FakeSender, clock: ManualClock
) -> None:
    email.failure = DeliveryError("busy")
    sms.failure = DeliveryError("too many", retry_after=timedelta(minutes=10))
    notify(draft())
    outbox.run_once()
    email.failure = sms.failure = None

    clock.advance(10)
    assert outbox.run_once() == 1
    assert (len(email.sent), sms.tries) == (1, 1)
    clock.advance(9 * 60)
    assert outbox.run_once() == 0
    clock.advance(60)
    assert outbox.run_once() == 1
    assert (len(email.sent), len(sms.sent)) == (1, 1)
    assert statuses() == {"email": "sent", "sms": "sent"}
    assert waiting() == 0


@pytest.mark.parametrize(
    ("preferences", "expected"),
    [
        ({}, {"email": "sent", "sms": "sent"}),
        ({"sms": False}, {"email": "sent", "sms": "skipped"}),
        ({"email": False}, {"email": "skipped", "sms": "sent"}),
        ({"email": False, "sms": False}, {"email": "skipped", "sms": "skipped"}),
        ({"events": []}, {"email": "skipped", "sms": "skipped"}),
        ({"events": [EventType.TRADE_CREATED]}, {"email": "skipped", "sms": "skipped"}),
        ({"events": [EventType.CUSTOM]}, {"email": "sent", "sms": "sent"}),
    ],
)
def test_events_outside_the_preferences_are_skipped(
    outbox: Outbox,
    email: FakeSender,
    sms: FakeSender,
    preferences: dict[str, Any],
    expected: dict[str, str],
) -> None:
    prefer(**preferences)
    notify(draft())

    assert outbox.run_once() == 1
    assert statuses() == expected
    for sender in (email, sms):
        assert len(sender.sent) == (expected[sender.channel] == "sent")
    assert waiting() == 0


def test_a_digest_has_the_wanted_events_and_skips_the_others(
    outbox: Outbox, email: FakeSender
) -> None:
    prefer(events=[EventType.TRADE_CREATED])
    open_trade("alice", order())
    send("alice", "greeting", "Hello.")
    open_trade("alice", order())

    outbox.run_once()

    ((_, message),) = email.sent
    assert message.events == 2
    assert [statuses(seq=seq)["email"] for seq in (1, 2, 3)] == ["sent", "skipped", "sent"]


def test_an_event_type_switched_off_before_sending_is_not_sent(
    outbox: Outbox, email: FakeSender, clock: ManualClock
) -> None:
    email.failure = DeliveryError("busy")
    notify(draft())
    outbox.run_once()
    email.failure = None

    prefer(email=False)
    clock.advance(60)
    outbox.run_once()

    assert email.sent == []
    assert statuses() == {"email": "skipped", "sms": "sent"}
    prefer(email=True)
    clock.advance(86_400)
    assert outbox.run_once() == 0


def test_preferences_changed_during_a_long_batch_apply_within_seconds(
    outbox: Outbox, clock: ManualClock, email: FakeSender
) -> None:
    for user_id in USERS:
        notify(draft(user_id))

    def switch_off() -> None:
        prefer(USERS[-1], email=False)
        clock.advance(RENEW_SECONDS)

    email.meanwhile = switch_off
    outbox.run_once()

    assert [user for user, _ in email.sent] == USERS[:-1]
    assert statuses(USERS[-1]) == {"email": "skipped", "sms": "sent"}


def test_messages_show_the_balance_after_an_entry_and_the_current_one_after_an_exit(
    outbox: Outbox,
    feed: ScriptedFeed,
    monitor: Monitor,
    email: FakeSender,
    sms: FakeSender,
) -> None:
    trade = open_trade("alice", order(quantity=2))
    open_trade("alice", order(trade_type=TradeType.SELL, stop_loss=25_010))
    outbox.run_once()
    (_, opened) = email.sent[-1]
    feed.tick("^NSEI", "25010.50")
    monitor.run_once()
    outbox.run_once()
    (_, stopped) = email.sent[-1]
    exit_trade("alice", str(trade.id))
    outbox.run_once()

    assert "Available margin now: ₹9,99,85,000.00" in opened.text
    assert stopped.subject == "Stop-loss hit: SELL 1 ^NSEI, loss ₹10.50"
    assert "Available margin now: ₹9,99,89,989.50" in stopped.text
    ((_, first), (_, second), (_, last)) = sms.sent
    assert first.sms.endswith("Available margin now: Rs 9,99,85,000.00.")
    assert second.sms == (
        "Paper trading: Stop-loss hit: your SELL of 1 ^NSEI was closed at Rs 25,010.50, "
        "a loss of Rs 10.50. Available margin now: Rs 9,99,89,989.50."
    )
    assert last.sms == (
        "Paper trading: Exited your BUY of 2 ^NSEI at Rs 25,010.50: a profit of Rs 21.00. "
        "Available margin now: Rs 10,00,00,010.50."
    )


def test_a_message_about_an_entry_shows_the_margin_available_right_after_it(
    outbox: Outbox, email: FakeSender
) -> None:
    open_trade("alice", order())
    collection("portfolios").update_one(
        {"user_id": "alice"}, {"$set": {"available_margin": Decimal("1.00")}}
    )

    outbox.run_once()

    ((_, message),) = email.sent
    assert "Available margin: ₹9,99,95,000.00" in message.text


def test_recording_reads_no_balances(app_context: Flask, clock: ManualClock) -> None:
    create_users("alice")
    prefer(sms=False)
    notify(draft())

    with recording_commands() as commands:
        Outbox(app_context, clock, RECORDING).run_once()

    assert not [command for command in commands if command.get("find") == "portfolios"]
    assert statuses() == {"email": "recorded", "sms": "skipped"}


def test_recorded_deliveries_are_saved_once_per_batch(
    app_context: Flask, clock: ManualClock
) -> None:
    create_users("alice", *USERS)
    recording = Outbox(app_context, clock, RECORDING)
    prefer("alice", sms=False)
    prefer(USERS[0], email=False)
    notify(*(draft(user_id) for user_id in ("alice", *USERS) for _ in range(2)))

    with recording_commands() as commands:
        assert recording.run_once() == 14

    # The first claims the batch.
    updates = [command for command in commands if command.get("update") == "notifications"]
    assert len(updates) == 2
    for seq in (1, 2):
        assert statuses("alice", seq) == {"email": "recorded", "sms": "skipped"}
        assert statuses(USERS[0], seq) == {"email": "skipped", "sms": "recorded"}
        assert statuses(USERS[1], seq) == {"email": "recorded", "sms": "recorded"}
    assert waiting() == 0


def test_a_sent_message_is_saved_before_the_next_user_is_served(
    outbox: Outbox, email: FakeSender
) -> None:
    """A crash between the two would otherwise send it again."""
    notify(draft("alice"), draft(USERS[0]))
    seen: list[int] = []
    email.meanwhile = lambda: seen.append(waiting())

    outbox.run_once()

    assert seen == [2, 1]
