"""Each command of each operation fails once, in each way that MongoDB can fail it.

FAULT_SWEEP=all tries every fault at every command; else each command meets one of them.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.database import Document
from app.portfolio.reconciliation import find_differences
from tests.support.faults import FaultyDatabase, recording_commands
from tests.support.operations import OPERATIONS, Request, outcome
from tests.support.users import Trader, sign_up

# The faults by the error code's name; those of a transaction alone MongoDB retries itself in a
# plain statement. https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
IN_TRANSACTION: dict[str, Document] = {
    "LockTimeout": {"errorCode": 24},
    "WriteConflict": {"errorCode": 112},
    "SnapshotUnavailable": {"errorCode": 246},
    "NoSuchTransaction": {"errorCode": 251},
}
ANYWHERE: dict[str, Document] = {
    "HostUnreachable": {"errorCode": 6},
    "MaxTimeMSExpired": {"errorCode": 50},
    "ShutdownInProgress": {"errorCode": 91},
    "PrimarySteppedDown": {"errorCode": 189},
    "ExceededTimeLimit": {"errorCode": 262},
    "TemporarilyUnavailable": {"errorCode": 365},
    "TransactionTooLargeForCache": {"errorCode": 388},
    "AtlasError": {"errorCode": 8000},
    "NotWritablePrimary": {"errorCode": 10107},
    "Interrupted": {"errorCode": 11601},
    "InterruptedDueToReplStateChange": {"errorCode": 11602},
    "OutOfDiskSpace": {"errorCode": 14031},
    "closed connection": {"closeConnection": True},
}
# The write is done, but no majority has confirmed it.
UNCONFIRMED: dict[str, Document] = {
    "WriteConcernTimeout": {
        "writeConcernError": {"code": 64, "errmsg": "timed out", "errInfo": {"wtimeout": True}}
    }
}
FAULTS = IN_TRANSACTION | ANYWHERE | UNCONFIRMED
TURNS = range(len(FAULTS)) if os.environ.get("FAULT_SWEEP") == "all" else [0]
COMMANDS = ("find", "insert", "update", "delete", "aggregate", "commitTransaction")
WRITES = ("insert", "update", "delete")
RETRY_SECONDS = 30
# What a repeated request finds that has no key and was done the first time.
DONE_BEFORE = {"register": 409, "delete_alert": 404}

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyDatabase]:
    database = FaultyDatabase(tmp_path_factory.mktemp("faulty"))
    yield database
    database.stop()


@pytest.fixture
def mongo_uri(faulty: FaultyDatabase) -> str:
    base, _, options = faulty.uri.partition("?")
    return f"{base}sweep_{next(_numbers)}?{options}&heartbeatFrequencyMS=500"


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.__name__)
def test_a_fault_at_any_command_leaves_what_no_fault_leaves(
    faulty: FaultyDatabase,
    app: Flask,
    client: FlaskClient,
    operation: Callable[[Trader], Request],
    turn: int,
) -> None:
    trader = trader_with_portfolio(client)
    request = operation(trader)
    with recording_commands() as recorded:
        assert request().status_code < 300
    expected = outcome(trader)
    commands = [command for command in recorded if next(iter(command)) in COMMANDS]
    assert commands

    for position, command in enumerate(commands):
        name, fault = choose_fault(command, turn + position + OPERATIONS.index(operation))
        where = f"{name} at command {position} of {[next(iter(each)) for each in commands]}"
        trader = trader_with_portfolio(client)
        request = operation(trader)
        with faulty.failing(*COMMANDS, skip=position, times=1, **fault):
            response = request()
        assert response.status_code < 300 or response.status_code == 503, (where, response.text)
        if response.status_code == 503:
            response = retry(request)
            done_before = DONE_BEFORE.get(operation.__name__)
            assert response.status_code in (200, 201, 204, done_before), (where, response.text)
        assert outcome(trader) == expected, where
        with app.app_context():
            assert find_differences(trader.client_id) == [], where


def trader_with_portfolio(client: FlaskClient) -> Trader:
    trader = sign_up(client)
    trader.open_portfolio()
    return trader


def choose_fault(command: Document, number: int) -> tuple[str, dict[str, Any]]:
    """Return a fault that MongoDB can have at this command, and its name."""
    name = next(iter(command))
    # PyMongo's log omits `autocommit: false`; plain writes carry a write concern.
    is_commit, has_concern = name == "commitTransaction", "writeConcern" in command
    faults = dict(ANYWHERE)
    if is_commit or ("txnNumber" in command and not has_concern):
        faults |= IN_TRANSACTION
    if is_commit or (name in WRITES and has_concern):
        faults |= UNCONFIRMED
    return list(faults.items())[number % len(faults)]


def retry(request: Request) -> TestResponse:
    """Repeat the request until the database is available."""
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        response = request()
        if response.status_code != 503 or time.monotonic() > deadline:
            return response
