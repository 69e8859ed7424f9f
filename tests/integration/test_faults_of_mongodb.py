"""Faults that a MongoDB server can have, injected by its own test command."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from app.database import Document, collection, database
from app.database.batches import CONFLICT_SECONDS
from app.database.transactions import WriteConflict, run_transaction
from app.domain.quote import Quote, Source
from app.models import SymbolState
from app.monitor import Monitor
from tests.support.faults import FaultyDatabase, recording_commands
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.users import Trader, sign_up

_numbers = itertools.count(1)
# Atlas refuses a command that the tier of a cluster does not support with AtlasError.
ATLAS_ERROR = 8000
MAX_TIME_EXPIRED = 50


class Refused(Exception):
    """The work itself refuses to commit."""


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
        with faulty.failing("abortTransaction", errorCode=ATLAS_ERROR), pytest.raises(Refused):
            run_transaction(fail_after_a_write)
        insert_one()
        insert_one()

    assert sum("killSessions" in command for command in commands) == 1


def test_a_transaction_is_ended_once_the_database_is_available_again(
    faulty: FaultyDatabase, app: Flask
) -> None:
    with app.app_context(), recording_commands() as commands:
        insert_one()
        with faulty.failing("abortTransaction", errorCode=ATLAS_ERROR), pytest.raises(Refused):
            run_transaction(fail_after_a_write)
        with faulty.failing("killSessions", closeConnection=True):
            insert_one()
        insert_one()
        insert_one()

    assert sum("killSessions" in command for command in commands) == 2


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
    raise Refused


# Over quota at Atlas; too large for the cache; interrupted; a full disk; not allowed; no such code.
@pytest.mark.parametrize("code", [ATLAS_ERROR, 388, 11601, 14031, 13, 123_456])
def test_a_stop_loss_outlives_an_error_that_no_list_names(
    code: int, faulty: FaultyDatabase, monitor: Monitor, feed: ScriptedFeed, alice: Trader
) -> None:
    alice.create_trade(stop_loss=24_900)
    feed.tick("^NSEI", 24_800)
    with faulty.failing("update", errorCode=code), pytest.raises(PyMongoError):
        monitor.run_once()
    feed.tick("^NSEI", 25_000)
    monitor.run_once()

    assert [trade["status"] for trade in alice.trades()] == ["STOP_LOSS_HIT"]


@pytest.mark.parametrize("code", [ATLAS_ERROR, 388, 11601, 14031, 13, 123_456])
def test_an_alert_outlives_an_error_that_no_list_names(
    code: int, faulty: FaultyDatabase, monitor: Monitor, feed: ScriptedFeed, alice: Trader
) -> None:
    alice.post("/market/alerts", {"symbol": "^NSEI", "below": 24_900})
    feed.tick("^NSEI", 24_800)
    with faulty.failing("update", errorCode=code), pytest.raises(PyMongoError):
        monitor.run_once()
    feed.tick("^NSEI", 25_000)
    monitor.run_once()

    assert [event["type"] for event in alice.notifications()] == ["price_alert"]


@pytest.mark.parametrize("command", ["findAndModify", "insert", "update", "commitTransaction"])
def test_a_request_that_the_database_refuses_can_be_retried(
    command: str, faulty: FaultyDatabase, alice: Trader
) -> None:
    with faulty.failing(command, times=1, errorCode=ATLAS_ERROR):
        refused = alice.create_trade()

    assert (refused.status_code, refused.get_json()["code"]) == (503, "database_unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert alice.create_trade().status_code == 201


@contextmanager
def locking(uri: str, portfolios_of: str) -> Iterator[None]:
    """Lock a user's portfolio by a transaction that stays open, as one of a killed process."""
    with MongoClient[Document](uri) as other, other.start_session() as session:
        session.start_transaction()
        other[database().name]["portfolios"].update_one(
            {"user_id": portfolios_of}, {"$set": {"locked": True}}, session=session
        )
        yield
        session.abort_transaction()


def test_one_locked_user_does_not_hold_up_the_others_of_a_batch(
    app: Flask, client: FlaskClient, monitor: Monitor, feed: ScriptedFeed, mongo_uri: str
) -> None:
    traders = [sign_up(client) for _ in range(5)]
    for trader in traders:
        trader.open_portfolio()
        trader.create_trade(stop_loss=24_900)
        trader.post("/market/alerts", {"symbol": "^NSEI", "below": 24_900})
    feed.tick("^NSEI", 24_800)

    with app.app_context(), locking(mongo_uri, portfolios_of=traders[2].client_id):
        with pytest.raises(WriteConflict):
            monitor.run_once()
        statuses = [trader.trades()[0]["status"] for trader in traders]
    feed.tick("^NSEI", 25_000)
    monitor.run_once()

    assert statuses == [*["STOP_LOSS_HIT"] * 2, "ACTIVE", *["STOP_LOSS_HIT"] * 2]
    assert traders[2].trades()[0]["status"] == "STOP_LOSS_HIT"


def test_exit_all_waits_longer_for_a_locked_user_than_a_pass_does(
    app: Flask, alice: Trader, mongo_uri: str
) -> None:
    alice.create_trade()
    with ThreadPoolExecutor(1) as pool:
        with app.app_context(), locking(mongo_uri, portfolios_of=alice.client_id):
            exiting = pool.submit(alice.post, f"/trades/exit-all/{alice.client_id}", {})
            with pytest.raises(TimeoutError):
                exiting.result(2 * CONFLICT_SECONDS)
        assert exiting.result(60).get_json()["count"] == 1


@pytest.mark.parametrize("code", [112, 24])
def test_a_conflict_until_the_deadline_is_a_conflict(
    code: int, faulty: FaultyDatabase, app: Flask
) -> None:
    with (
        app.app_context(),
        faulty.failing("insert", errorCode=code, errorLabels=["TransientTransactionError"]),
        pytest.raises(WriteConflict),
    ):
        insert_one(timeout_seconds=0.5)


def test_a_transaction_too_large_for_the_cache_is_halved(
    faulty: FaultyDatabase, monitor: Monitor, feed: ScriptedFeed, alice: Trader
) -> None:
    for _ in range(2):
        alice.create_trade(stop_loss=24_900)
    feed.tick("^NSEI", 24_800)
    with faulty.failing("update", times=1, errorCode=388):
        monitor.run_once()

    assert [trade["status"] for trade in alice.trades()] == ["STOP_LOSS_HIT"] * 2


def test_last_quotes_are_saved_without_a_transaction(app: Flask, clock: ManualClock) -> None:
    quotes = [Quote(name, Decimal(100), Source.MOCK, clock.now()) for name in ("A", "B")]
    with app.app_context(), recording_commands() as commands:
        SymbolState.save_quotes(quotes)

        assert set(SymbolState.load_quotes()) == {"A", "B"}
    assert [command["update"] for command in commands if "update" in command] == ["symbols"]
    assert not any("startTransaction" in command for command in commands)
