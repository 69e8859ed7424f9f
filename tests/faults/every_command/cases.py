"""The cases of a sweep: which commands fail, and in which of the ways that MongoDB has."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo.errors import PyMongoError

from app.database import Document
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
# FAULT_SWEEP=all tries every fault at every command; else every third command meets one of them.
IS_FULL = os.environ.get("FAULT_SWEEP") == "all"
TURNS = range(len(FAULTS)) if IS_FULL else [0]
STEP = 1 if IS_FULL else 3
WRITES = ("insert", "update", "delete", "findAndModify")
COMMANDS = ("find", *WRITES, "aggregate", "commitTransaction")
RETRY_SECONDS = 30


def each_fault(
    commands: Sequence[Document], number: int
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield positions of commands, each with a fault and what to call the case.

    Each `number` chooses other faults, and without FAULT_SWEEP=all other commands.
    """
    names = [next(iter(command)) for command in commands]
    for position in range(number % STEP, len(commands), STEP):
        name, fault = choose_fault(commands[position], number + position)
        yield position, f"{name} at command {position} of {names}", fault


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


def counted(recorded: Sequence[Document]) -> list[Document]:
    """Return those of the recorded commands that a sweep fails."""
    commands = [command for command in recorded if next(iter(command)) in COMMANDS]
    assert commands
    return commands


def attempt(work: Callable[[], object]) -> bool:
    """Do something that an outage may interrupt; return whether it did not."""
    try:
        work()
    except PyMongoError:
        return False
    return True


def repeat(work: Callable[[], object]) -> None:
    """Repeat something until no outage interrupts it."""
    deadline = time.monotonic() + RETRY_SECONDS
    while not attempt(work):
        if time.monotonic() > deadline:
            pytest.fail("the database did not recover")


def trader_with_portfolio(client: FlaskClient) -> Trader:
    trader = sign_up(client)
    trader.open_portfolio()
    return trader
