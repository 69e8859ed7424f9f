"""Each command of a webhook's turn fails once, in each way MongoDB can fail it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.delivery import WebhookWorker
from app.delivery.webhook_turns import LEASE
from tests.fakes.endpoint import Endpoint
from tests.faults.every_command.cases import COMMANDS, TURNS, attempt, counted, each_fault, repeat
from tests.support.faults import FaultyDatabase, recording_commands
from tests.support.market import ManualClock
from tests.support.users import Trader, sign_up

EVENTS = 3


@pytest.fixture
def variables() -> dict[str, Any]:
    return {"WEBHOOK_ALLOWED_HOSTS": "127.0.0.1"}


def trader_with_webhook(client: FlaskClient, endpoint: Endpoint) -> tuple[Trader, str]:
    """Return a trader whose events wait for a webhook, and the path of the webhook's URL."""
    trader = sign_up(client)
    path = f"/{trader.client_id.partition('@')[0]}"
    url = f"http://127.0.0.1:{endpoint.port}{path}"
    assert trader.post("/notifications/webhooks", {"url": url}).status_code == 201
    for _ in range(EVENTS):
        trader.post("/notifications", {"event": "note", "message": "Hello."})
    return trader, path


def deliver_all(worker: WebhookWorker) -> None:
    while worker.run_once():
        pass


@pytest.mark.parametrize("turn", TURNS)
def test_a_fault_at_any_command_of_a_turn_skips_no_event_and_keeps_the_order(
    faulty: FaultyDatabase,
    app: Flask,
    client: FlaskClient,
    clock: ManualClock,
    endpoint: Endpoint,
    turn: int,
) -> None:
    worker = WebhookWorker(app, clock)
    trader_with_webhook(client, endpoint)
    with recording_commands() as recorded:
        deliver_all(worker)
    assert endpoint.seqs == list(range(1, EVENTS + 1))

    for position, where, fault in each_fault(counted(recorded), turn):
        trader, path = trader_with_webhook(client, endpoint)
        with faulty.failing(*COMMANDS, skip=position, times=1, **fault):
            attempt(worker.run_once)
        # The claim of an interrupted turn ends.
        clock.advance(LEASE.total_seconds() + 1)
        repeat(partial(deliver_all, worker))
        seqs = [each.json["seq"] for each in endpoint.received if each.path == path]
        assert seqs == sorted(seqs), where
        assert set(seqs) == set(range(1, EVENTS + 1)), where
        assert len(seqs) <= EVENTS + 1, where
        (webhook,) = trader.get("/notifications/webhooks").get_json()["webhooks"]
        assert (webhook["last_seq"], webhook["next_attempt_at"]) == (EVENTS, None), where
