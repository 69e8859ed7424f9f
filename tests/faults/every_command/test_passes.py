"""Each command of a settlement and of a delivery fails once, in each way MongoDB can fail it."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.delivery import Outbox
from app.delivery.outbox import LEASE
from app.monitor import Monitor
from app.portfolio.reconciliation import find_differences
from tests.faults.every_command.cases import (
    COMMANDS,
    TURNS,
    attempt,
    counted,
    each_fault,
    repeat,
)
from tests.faults.every_command.passes import (
    begin_to_lead,
    deliver_all,
    delivery_states,
    trader_with_events,
    trader_with_stop_and_alert,
)
from tests.support.bounds import assert_bounds_hold
from tests.support.faults import FaultyDatabase, recording_commands
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.operations import outcome
from tests.support.senders import CREDENTIALS, FakeSender
from tests.support.users import sign_up


@pytest.fixture
def variables() -> dict[str, Any]:
    # With credentials events are queued; with long intervals no fault outlasts the lease.
    return {**CREDENTIALS, "MONITOR_INTERVAL_SECONDS": 60}


@pytest.mark.parametrize("turn", TURNS)
def test_a_fault_at_any_command_of_a_settlement_forgets_no_stop_loss_and_no_alert(
    faulty: FaultyDatabase,
    app: Flask,
    client: FlaskClient,
    monitor: Monitor,
    feed: ScriptedFeed,
    turn: int,
) -> None:
    begin_to_lead(monitor)
    trader = trader_with_stop_and_alert(client)
    feed.tick("^NSEI", 24_800)
    with recording_commands() as recorded:
        monitor.run_if_leased()
    expected = outcome(trader)
    assert expected["trades"] == {"STOP_LOSS_HIT": 1, "ACTIVE": 2}
    assert expected["events"]["price_alert"] == 1

    for position, where, fault in each_fault(counted(recorded), turn):
        feed.tick("^NSEI", 25_000)
        monitor.run_if_leased()
        trader = trader_with_stop_and_alert(client)
        feed.tick("^NSEI", 24_800)
        with faulty.failing(*COMMANDS, skip=position, times=1, **fault):
            attempt(monitor.run_if_leased)
        # Above the level again: only the tick that failed can close the trade.
        feed.tick("^NSEI", 25_000)
        repeat(monitor.run_if_leased)
        assert outcome(trader) == expected, where
        (closed,) = trader.trades("?status=STOP_LOSS_HIT")
        assert closed["exit_price"] == 24_800, where
        with app.app_context():
            assert find_differences(trader.client_id) == [], where
        assert_bounds_hold()


@pytest.mark.parametrize("turn", TURNS)
def test_a_fault_at_any_command_of_a_delivery_sends_each_message_once(
    faulty: FaultyDatabase, app: Flask, client: FlaskClient, clock: ManualClock, turn: int
) -> None:
    senders = FakeSender("email"), FakeSender("sms")
    outbox = Outbox(app, clock, senders)
    deliver_all(outbox)
    trader_with_events(client)
    with recording_commands() as recorded:
        deliver_all(outbox)

    for position, where, fault in each_fault(counted(recorded), turn):
        trader = trader_with_events(client)
        with faulty.failing(*COMMANDS, skip=position, times=1, **fault):
            attempt(outbox.run_once)
        # The claim of an interrupted delivery ends.
        clock.advance(LEASE.total_seconds() + 1)
        repeat(partial(deliver_all, outbox))
        assert delivery_states(trader) == {("sent", 1)}, where
        for sender in senders:
            recipients = [recipient for recipient, _ in sender.sent]
            assert recipients.count(trader.client_id) == 1, where


def test_a_message_that_was_sent_before_an_outage_is_not_sent_again(
    faulty: FaultyDatabase, app: Flask, client: FlaskClient, clock: ManualClock
) -> None:
    email, sms = senders = FakeSender("email"), FakeSender("sms")
    outbox = Outbox(app, clock, senders)
    trader = trader_with_events(client)
    with ExitStack() as outage:
        fault = faulty.failing("update", errorCode=8000)
        email.meanwhile = lambda: outage.enter_context(fault)
        assert not attempt(outbox.run_once)
        assert not attempt(outbox.run_once)
        assert (len(email.sent), len(sms.sent)) == (1, 0)
    clock.advance(LEASE.total_seconds() + 1)
    deliver_all(outbox)

    assert (len(email.sent), len(sms.sent)) == (1, 1)
    assert delivery_states(trader) == {("sent", 1)}


def test_an_entry_is_not_rejected_because_the_exit_that_funds_it_met_an_outage(
    faulty: FaultyDatabase, app: Flask, client: FlaskClient, monitor: Monitor, feed: ScriptedFeed
) -> None:
    app.config["WRITE_BATCH_SIZE"] = 1
    begin_to_lead(monitor)
    alice, bob = sign_up(client), sign_up(client)
    alice.open_portfolio(10_500)
    bob.open_portfolio()
    held = alice.create_trade(target_price=25_500).get_json()
    # It is filled beyond its stop, where it needs more than is available without the exit.
    waiting = {"order_type": "STOP", "stop_price": 26_000}
    assert alice.create_trade(**waiting).status_code == 201
    assert bob.create_trade(target_price=25_550).status_code == 201
    for price in (25_600, 27_600):
        feed.tick("^NSEI", price)

    with faulty.failing("commitTransaction", times=1, errorCode=8000):
        assert not attempt(monitor.run_if_leased)
    assert [trade["status"] for trade in alice.trades()] == ["PENDING", "ACTIVE"]
    assert [trade["status"] for trade in bob.trades()] == ["TARGET_HIT"]

    repeat(monitor.run_if_leased)
    entered, exited = alice.trades()
    assert (entered["status"], entered["entry_price"]) == ("ACTIVE", 27_600.0)
    assert (exited["trade_id"], exited["status"]) == (held["trade_id"], "TARGET_HIT")
    with app.app_context():
        assert find_differences(alice.client_id) == find_differences(bob.client_id) == []
