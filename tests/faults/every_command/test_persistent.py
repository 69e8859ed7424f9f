"""A command fails for a while: nothing is done twice or forgotten, and no restart is needed."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.database import Document
from app.delivery import Outbox
from app.delivery.outbox import LEASE
from app.monitor import Monitor
from app.portfolio.reconciliation import find_differences
from tests.faults.every_command.cases import ANYWHERE, COMMANDS, IS_FULL, attempt, repeat
from tests.faults.every_command.passes import (
    begin_to_lead,
    deliver_all,
    delivery_states,
    trader_with_stop_and_alert,
)
from tests.support.faults import FaultyDatabase
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.operations import (
    create_alert,
    create_trade,
    exit_trade,
    list_trades,
    outcome,
    read_portfolio,
    send_event,
)
from tests.support.senders import CREDENTIALS, FakeSender, lines_of

# MongoDB and PyMongo do not repeat these, so each request ends at once.
ENDING = ("AtlasError", "OutOfDiskSpace", "Interrupted")
# These are repeated until the request's timeout, which takes seconds for each.
REPEATED = ("NotWritablePrimary", "closed connection")
# Commands that each of the requests sends.
OF_REQUESTS = ("find", "insert", "update", "commitTransaction")
WRITES = (create_trade, exit_trade, create_alert, send_event)
CASES = (
    [(command, name) for command in COMMANDS for name in ENDING]
    + [(command, name) for command in ("find", "commitTransaction") for name in REPEATED]
    if IS_FULL
    else [("update", "AtlasError"), ("commitTransaction", "OutOfDiskSpace")]
)


@pytest.fixture
def variables() -> dict[str, Any]:
    # With long intervals no fault outlasts the lease.
    return {**CREDENTIALS, "MONITOR_INTERVAL_SECONDS": 600}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("command", "name"), CASES)
def test_everything_continues_after_a_command_has_failed_for_a_while(
    command: str,
    name: str,
    faulty: FaultyDatabase,
    app: Flask,
    client: FlaskClient,
    clock: ManualClock,
    monitor: Monitor,
    feed: ScriptedFeed,
) -> None:
    senders = FakeSender("email"), FakeSender("sms")
    outbox = Outbox(app, clock, senders)
    begin_to_lead(monitor)
    trader = trader_with_stop_and_alert(client)
    writes = [operation(trader) for operation in WRITES]
    reads = [operation(trader) for operation in (read_portfolio, list_trades)]
    feed.tick("^NSEI", 24_800)

    fault: Document = ANYWHERE[name]
    with faulty.failing(command, **fault):
        attempt(monitor.run_if_leased)
        # Above the level again: only the tick that failed can close the trade.
        feed.tick("^NSEI", 25_000)
        statuses = [request().status_code for request in [*writes, *reads]]
        attempt(monitor.run_if_leased)
        attempt(outbox.run_once)
    repeat(monitor.run_if_leased)
    assert {status for status in statuses if status >= 300} <= {503}
    assert 503 in statuses or command not in OF_REQUESTS
    for request, status in zip([*writes, *reads], statuses, strict=True):
        assert status < 300 or request().status_code < 300
    clock.advance(LEASE.total_seconds() + 1)
    repeat(partial(deliver_all, outbox))

    done = outcome(trader)
    assert done["trades"] == {"STOP_LOSS_HIT": 1, "CLOSED": 1, "ACTIVE": 3}
    assert done["alerts"] == 2
    events = {"trade_created": 5, "trade_exited": 1, "trade_auto_closed": 1, "note": 1}
    assert done["events"] == {**events, "price_alert": 1}
    assert trader.trades("?status=STOP_LOSS_HIT")[0]["exit_price"] == 24_800
    assert delivery_states(trader) == {("sent", 1)}
    for sender in senders:
        assert sum(len(lines_of(message)) for _, message in sender.sent) == done["events"].total()
    with app.app_context():
        assert find_differences(trader.client_id) == []
