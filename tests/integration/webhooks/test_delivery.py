"""Webhooks receive each event once and in order; one that fails delays nothing else."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask

from app.database import collection
from app.delivery import Outbox, WebhookWorker
from app.delivery.webhook_turns import MAX_FAILING, MIN_FAILURES
from app.models import EventType, Inbox, Notification
from app.webhooks import sending
from app.webhooks.client import WebhookClient
from app.webhooks.service import change_webhook, create_webhook
from tests.fakes.endpoint import Endpoint
from tests.support.market import ManualClock
from tests.support.senders import FakeSender
from tests.support.webhooks import current, hook, log, wait_for_retry, write

DAY_SECONDS = 24 * 3_600


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
