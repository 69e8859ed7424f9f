"""Faults that a MongoDB server can have, injected by its own test command."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from flask import Flask
from pymongo.errors import PyMongoError

from app.database import collection
from app.database.transactions import run_transaction
from tests.support.faults import FaultyDatabase, recording_commands
from tests.support.users import Trader

_numbers = itertools.count(1)
# Atlas refuses a command that the tier of a cluster does not support with AtlasError.
ATLAS_ERROR = 8000
MAX_TIME_EXPIRED = 50


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyDatabase]:
    database = FaultyDatabase(tmp_path_factory.mktemp("faulty"))
    yield database
    database.stop()


@pytest.fixture
def mongo_uri(faulty: FaultyDatabase) -> str:
    base, _, options = faulty.uri.partition("?")
    return f"{base}faults_{next(_numbers)}?{options}"


def insert_one(timeout_seconds: float = 5) -> None:
    run_transaction(
        lambda: collection("counters").insert_one({"n": 1}), timeout_seconds=timeout_seconds
    )


def test_writes_continue_where_kill_sessions_is_refused(
    faulty: FaultyDatabase, alice: Trader
) -> None:
    with faulty.failing("commitTransaction", times=30, errorCode=MAX_TIME_EXPIRED):
        assert alice.create_trade().status_code == 503
    with faulty.failing("killSessions", errorCode=ATLAS_ERROR):
        assert [alice.create_trade().status_code for _ in range(2)] == [201, 201]


def test_a_transaction_whose_abort_failed_is_ended_by_the_next_one(
    faulty: FaultyDatabase, app: Flask
) -> None:
    with app.app_context(), recording_commands() as commands:
        with (
            faulty.failing("abortTransaction", errorCode=ATLAS_ERROR),
            pytest.raises(ZeroDivisionError),
        ):
            run_transaction(fail_after_a_write)
        insert_one()
        insert_one()

    assert sum("killSessions" in command for command in commands) == 1


def test_a_transaction_that_was_aborted_is_not_ended_again(
    faulty: FaultyDatabase, app: Flask
) -> None:
    with app.app_context(), recording_commands() as commands:
        with (
            faulty.failing("insert", times=1, errorCode=MAX_TIME_EXPIRED),
            pytest.raises(PyMongoError),
        ):
            insert_one()
        insert_one()

    assert sum("abortTransaction" in command for command in commands) == 1
    assert not any("killSessions" in command for command in commands)


def fail_after_a_write() -> None:
    collection("counters").insert_one({"n": 1})
    raise ZeroDivisionError
