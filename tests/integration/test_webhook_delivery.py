"""Webhooks receive each event once and in order; one that fails delays nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from pymongo.errors import AutoReconnect

from app.database import collection
from app.database.transactions import run_transaction
from app.delivery import Outbox, WebhookWorker
from app.delivery.webhook_turns import LEASE, MAX_FAILING, MIN_FAILURES
from app.events import publish_events, record_events
from app.models import EventType, Inbox, Notification, Webhook, WebhookDelivery, WebhookWake
from app.services import now
from app.webhooks import sending
from app.webhooks.client import WebhookClient
from app.webhooks.service import change_webhook, create_webhook, list_deliveries
from tests.fakes.endpoint import Endpoint
from tests.support.concurrency import run_concurrently, running
from tests.support.factories import create_users, draft
from tests.support.live import eventually
from tests.support.market import ManualClock
from tests.support.senders import CREDENTIALS, FakeSender

DAY_SECONDS = 24 * 3_600


@pytest.fixture
def variables() -> dict[str, Any]:
    return {**CREDENTIALS, "WEBHOOK_ALLOWED_HOSTS": "127.0.0.1"}


@pytest.fixture(autouse=True)
def users(app_context: Flask) -> None:
    create_users("alice", "bob")


@pytest.fixture
def endpoints() -> Iterator[list[Endpoint]]:
    """Two endpoints."""
    with ExitStack() as stack:
        yield [stack.enter_context(Endpoint().open()) for _ in range(2)]


@pytest.fixture
def endpoint(endpoints: list[Endpoint]) -> Endpoint:
    return endpoints[0]


@pytest.fixture
def worker(app_context: Flask, clock: ManualClock) -> WebhookWorker:
    return WebhookWorker(app_context, clock)


def hook(
    endpoint: Endpoint, user_id: str = "alice", events: Sequence[EventType] | None = None
) -> Webhook:
    chosen = None if events is None else frozenset(events)
    url = f"http://127.0.0.1:{endpoint.port}/"
    return create_webhook(user_id, url, chosen, "")[0]


def write(user_id: str = "alice", count: int = 1) -> list[Notification]:
    """Write events and publish them, as a service does."""
    drafts = [draft(user_id) for _ in range(count)]
    events = run_transaction(lambda: record_events(drafts, now()))
    publish_events(events)
    return events


def current(webhook: Webhook) -> Webhook:
    found = Webhook.find(webhook.id, webhook.user_id)
    assert found is not None
    return found


def log(webhook: Webhook) -> list[WebhookDelivery]:
    return list_deliveries(webhook.user_id, str(webhook.id), limit=500)[0]


def wait_for_retry(webhook: Webhook, clock: ManualClock) -> float:
    """Advance the clock to the next attempt; return the seconds."""
    due_at = current(webhook).due_at
    assert due_at is not None
    seconds = (due_at - clock.now()).total_seconds()
    clock.advance(max(seconds, 0) + 0.001)
    return seconds


def test_each_event_is_delivered_once_and_in_order(
    endpoint: Endpoint, worker: WebhookWorker
) -> None:
    webhook = hook(endpoint)
    events = write(count=120)

    assert worker.run_once() == 1
    assert worker.run_once() == 0

    assert endpoint.seqs == list(range(1, 121))
    assert [request.json["id"] for request in endpoint.received] == [str(e.id) for e in events]
    assert current(webhook).due_at is None
    assert collection("webhook_wakes").count_documents({}) == 0


def test_a_webhook_gets_events_from_its_creation_on(
    endpoint: Endpoint, worker: WebhookWorker
) -> None:
    write(count=2)
    hook(endpoint)
    write()
    worker.run_once()

    assert endpoint.seqs == [3]


def test_a_message_has_the_fields_of_trade_update_an_id_and_a_time(
    endpoint: Endpoint, worker: WebhookWorker
) -> None:
    hook(endpoint)
    (event,) = write()
    worker.run_once()

    assert endpoint.received[0].json == {
        "id": str(event.id),
        "event": "greeting",
        "data": {},
        "seq": 1,
        "timestamp": "2026-11-23T04:00:00.000Z",
    }


def test_only_chosen_events_are_delivered(endpoint: Endpoint, worker: WebhookWorker) -> None:
    webhook = hook(endpoint, events=[EventType.TRADE_EXITED])
    write(count=60)
    worker.run_once()

    assert endpoint.received == []
    assert current(webhook).cursor == 60


def test_events_of_a_user_without_webhooks_wake_nobody(
    endpoint: Endpoint, worker: WebhookWorker
) -> None:
    hook(endpoint, "bob")
    write("alice")

    assert collection("webhook_wakes").count_documents({}) == 0
    assert worker.run_once() == 0


def test_a_failed_event_is_retried_with_growing_delays_before_any_later_one(
    endpoint: Endpoint, worker: WebhookWorker, clock: ManualClock
) -> None:
    webhook = hook(endpoint)
    endpoint.statuses = [200, 500, 503, 404]
    write(count=3)
    waits = []
    for _ in range(3):
        worker.run_once()
        # New events do not bring the next attempt forward.
        write()
        assert worker.run_once() == 0
        waits.append(wait_for_retry(webhook, clock))
    worker.run_once()

    assert endpoint.seqs == [1, 2, 2, 2, 2, 3, 4, 5, 6]
    for n, wait in enumerate(waits):
        assert 5 * 2**n <= wait <= 10 * 2**n
    state = current(webhook)
    assert (state.failures, state.failing_since, state.pending_id) == (0, None, None)
    retried = log(webhook)[-2]
    assert [attempt.status_code for attempt in retried.attempts] == [500, 503, 404, 200]
    assert (retried.status, retried.attempt_count) == ("delivered", 4)


def test_an_endpoint_may_ask_for_a_longer_delay_up_to_an_hour(
    endpoint: Endpoint, worker: WebhookWorker, clock: ManualClock
) -> None:
    webhook = hook(endpoint)
    endpoint.statuses = [429, 429]
    write()
    endpoint.headers = {"Retry-After": "600"}
    worker.run_once()
    assert wait_for_retry(webhook, clock) == 600
    endpoint.headers = {"Retry-After": "86400"}
    worker.run_once()
    assert wait_for_retry(webhook, clock) == 3_600


def test_an_endpoint_that_is_down_for_hours_delays_neither_emails_nor_other_endpoints(
    endpoints: list[Endpoint],
    worker: WebhookWorker,
    app_context: Flask,
    clock: ManualClock,
    email: FakeSender,
) -> None:
    down, up = endpoints
    webhook = hook(down)
    hook(up)
    hook(up, "bob")
    down.statuses = [500] * 8
    outbox = Outbox(app_context, clock, [email])
    for n in range(1, 9):
        write()
        write("bob")
        worker.run_once()
        outbox.run_once()
        assert up.seqs == [seq for seq in range(1, n + 1) for _ in range(2)]
        assert len(email.sent) == 2 * n
        wait_for_retry(webhook, clock)

    worker.run_once()

    assert down.seqs == [1] * 8 + list(range(1, 9))
    assert current(webhook).failures == 0


def test_a_webhook_that_fails_for_a_day_is_disabled_and_its_user_notified(
    endpoint: Endpoint, worker: WebhookWorker, clock: ManualClock
) -> None:
    webhook = hook(endpoint)
    write(count=2)
    endpoint.statuses = [500] * 1_000
    began = clock.now()
    while current(webhook).enabled:
        worker.run_once()
        if current(webhook).enabled:
            wait_for_retry(webhook, clock)

    assert MAX_FAILING <= clock.now() - began <= MAX_FAILING + timedelta(hours=1)
    assert set(endpoint.seqs) == {1}
    state = current(webhook)
    assert (state.disabled_reason, state.due_at) == ("it answered with status 500", None)
    notice = Notification.find_after("alice", 2, 3)[0]
    assert notice.type == "webhook_disabled"
    assert notice.data["webhook_id"] == str(webhook.id)
    assert notice.data["failures"] == state.failures == len(endpoint.received)
    # The notice goes out by email like any event, and its URL is not in it.
    assert notice.is_to_be_sent
    assert str(endpoint.port) not in str(notice)

    endpoint.statuses = []
    change_webhook("alice", str(webhook.id), {"enabled": True})
    worker.run_once()
    assert endpoint.seqs[-3:] == [1, 2, 3]
    assert [each.status for each in log(webhook)] == ["delivered"] * 3


def test_a_worker_that_was_away_for_days_does_not_disable_at_its_first_attempts(
    endpoint: Endpoint, worker: WebhookWorker, clock: ManualClock
) -> None:
    webhook = hook(endpoint)
    write()
    endpoint.statuses = [500] * (MIN_FAILURES - 1)
    worker.run_once()
    clock.advance(3 * DAY_SECONDS)
    for _ in range(MIN_FAILURES - 1):
        worker.run_once()
        if endpoint.statuses:
            wait_for_retry(webhook, clock)
    wait_for_retry(webhook, clock)
    worker.run_once()

    assert current(webhook).enabled
    assert endpoint.seqs == [1] * MIN_FAILURES


def test_an_endpoint_that_is_gone_is_disabled_at_once(
    endpoint: Endpoint, worker: WebhookWorker
) -> None:
    webhook = hook(endpoint)
    endpoint.statuses = [410]
    write()
    worker.run_once()

    assert current(webhook).enabled is False
    inbox = Inbox.find("alice")
    assert inbox is not None
    assert (inbox.event_seq, inbox.webhooks) == (2, 0)


def test_a_name_that_is_rebound_to_a_private_address_is_not_reached(
    app_context: Flask, endpoint: Endpoint, worker: WebhookWorker
) -> None:
    app_context.extensions[sending.KEY] = WebhookClient(resolve=lambda *_: ["169.254.169.254"])
    webhook, _ = create_webhook("alice", f"https://bot.example.com:{endpoint.port}/", None, "")
    write()
    worker.run_once()

    (delivery,) = log(webhook)
    assert delivery.attempts[0].error == "the name leads to an address that is not public"
    assert endpoint.received == []


def test_concurrent_workers_deliver_each_event_once(
    app_context: Flask, endpoints: list[Endpoint], clock: ManualClock
) -> None:
    for endpoint in endpoints:
        hook(endpoint)
    write(count=20)
    workers = [WebhookWorker(app_context, clock) for _ in range(3)]

    run_concurrently([worker.run_once for worker in workers])
    for worker in workers:
        worker.run_once()

    assert [endpoint.seqs for endpoint in endpoints] == [list(range(1, 21))] * 2


def test_the_webhook_of_a_killed_worker_is_taken_over_when_its_claim_ends(
    endpoint: Endpoint, worker: WebhookWorker, clock: ManualClock
) -> None:
    webhook = hook(endpoint)
    write()
    Webhook.mark_due(["alice"], clock.now())
    assert current(webhook).claimed(clock.now(), LEASE) is not None

    write()
    assert worker.run_once() == 0
    clock.advance(LEASE.total_seconds())
    assert worker.run_once() == 1
    assert endpoint.seqs == [1, 2]


def test_an_event_that_arrives_while_a_turn_ends_is_not_forgotten(
    endpoint: Endpoint, worker: WebhookWorker, clock: ManualClock
) -> None:
    webhook = hook(endpoint)
    write()
    WebhookWake.take(clock.now())
    claimed = current(webhook).claimed(clock.now(), LEASE)
    assert claimed is not None
    # Another process takes the note of a new event after the turn has read the last one.
    write()
    WebhookWake.take(clock.now())

    claimed.at(1).released(None, clock.now())

    worker.run_once()
    assert endpoint.seqs == [2]


def test_a_change_during_a_request_wins_over_the_turn(
    app_context: Flask, endpoint: Endpoint, worker: WebhookWorker
) -> None:
    webhook = hook(endpoint)
    write(count=3)

    def disable() -> None:
        with app_context.app_context():
            change_webhook("alice", str(webhook.id), {"enabled": False, "after_seq": 0})

    endpoint.meanwhile = disable
    worker.run_once()

    state = current(webhook)
    assert (state.enabled, state.cursor, state.due_at) == (False, 0, None)
    assert endpoint.seqs == [1]


def test_a_delivery_that_could_not_be_stored_is_repeated(
    endpoint: Endpoint,
    worker: WebhookWorker,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hook(endpoint)
    write(count=2)

    def fail(*_: object) -> None:
        raise AutoReconnect("the database went away")

    with monkeypatch.context() as outage:
        outage.setattr(Webhook, "progressed", fail)
        worker.run_once()
    clock.advance(LEASE.total_seconds())
    worker.run_once()

    # At least once, and in order.
    assert endpoint.seqs == [1, 1, 2]
    ids = [request.headers["webhook-id"] for request in endpoint.received]
    assert ids[0] == ids[1] != ids[2]


def test_a_slow_endpoint_holds_up_no_other(
    endpoints: list[Endpoint], worker: WebhookWorker
) -> None:
    slow, quick = endpoints
    release = threading.Event()
    slow.meanwhile = lambda: release.wait(20)
    hook(slow)
    hook(quick, "bob")

    with running(worker):
        write("alice", 2)
        slow.wait_for(1)
        write("bob", 3)
        quick.wait_for(3)
        assert slow.seqs == [1]
        release.set()
        slow.wait_for(2)

    assert (slow.seqs, quick.seqs) == ([1, 2], [1, 2, 3])


def test_trades_do_not_wait_for_deliveries(
    app_context: Flask, endpoints: list[Endpoint], worker: WebhookWorker
) -> None:
    for endpoint in endpoints:
        hook(endpoint)

    def write_many() -> int:
        with app_context.app_context():
            return sum(len(write()) for _ in range(15))

    with running(worker):
        assert run_concurrently([write_many, write_many]) == [15, 15]
        for endpoint in endpoints:
            endpoint.wait_for(30)

    assert [endpoint.seqs for endpoint in endpoints] == [list(range(1, 31))] * 2


def test_events_of_another_process_are_found_without_its_signal(
    endpoint: Endpoint, worker: WebhookWorker
) -> None:
    hook(endpoint)
    with running(worker):
        run_transaction(lambda: record_events([draft()], now()))
        eventually(lambda: endpoint.seqs == [1])
