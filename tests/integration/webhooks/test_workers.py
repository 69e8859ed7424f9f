"""Workers share the webhooks: none is delivered twice, forgotten or held up by another."""

from __future__ import annotations

import threading

import pytest
from flask import Flask
from pymongo.errors import AutoReconnect

from app.database.transactions import run_transaction
from app.delivery import WebhookWorker
from app.delivery.webhook_turns import LEASE
from app.events import record_events
from app.models import Webhook, WebhookWake
from app.services import now
from app.webhooks.service import change_webhook
from tests.fakes.endpoint import Endpoint
from tests.support.concurrency import run_concurrently, running
from tests.support.factories import draft
from tests.support.live import eventually
from tests.support.market import ManualClock
from tests.support.webhooks import current, hook, write


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
