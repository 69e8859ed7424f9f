"""Building indexes: by one process, for as long as it takes, and never by a command."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.database import collection, database, init_app, migrations
from app.database.build_lock import BuildLock
from app.database.indexes import INDEXES, RESPONSES_KEPT, create_indexes, find_missing
from app.extensions import mongo
from config import ConfigurationError, Settings
from tests.support.database import DatabaseServer
from tests.support.live import eventually
from tests.support.lost_reply import LosingProxy
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.server import ROOT

SECONDS = 30
BELOW = "waiting_1_symbol_1_trigger_below_1"

pytestmark = pytest.mark.own_database


@pytest.fixture
def make_command(
    make_settings: Callable[..., Settings], mongo_uri: str, feed: ScriptedFeed, clock: ManualClock
) -> Iterator[Callable[[], Flask]]:
    """Make the application of a command."""
    yield lambda: create_app(
        make_settings(), mongo_uri=mongo_uri, feed=feed, clock=clock, for_command=True
    )
    if mongo.cx is not None:
        mongo.cx.close()
    mongo.cx = mongo.db = None


@pytest.fixture
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LosingProxy]:
    """A proxy to an empty database, which the application's client uses."""
    server = DatabaseServer(tmp_path_factory.mktemp("database")).start()
    with LosingProxy(server.port) as proxy:
        init_app(Flask(__name__), f"mongodb://{proxy.address}/builds?{proxy.options}")
        yield proxy
        assert mongo.cx is not None
        mongo.cx.close()
        mongo.cx = mongo.db = None
    server.kill()


def test_every_collection_exists_before_it_is_written(app: Flask) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    used = set(re.findall(r'collection\("(\w+)"\)', sources))

    assert used <= set(INDEXES) <= set(database().list_collection_names())


def test_nothing_is_built_on_an_up_to_date_database(proxy: LosingProxy) -> None:
    create_indexes()

    with proxy.holding(b"createIndexes") as builds:
        create_indexes()

    assert builds == []


def test_one_process_builds_without_a_timeout_while_another_waits(
    proxy: LosingProxy, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(2) as pool:
        with proxy.holding(b"createIndexes") as builds:
            first = pool.submit(create_indexes)
            eventually(lambda: len(builds) == 1, SECONDS)
            second = pool.submit(create_indexes)
            eventually(lambda: "another process builds indexes" in caplog.text, SECONDS)
            assert not second.done()
            assert len(builds) == 1
        first.result(SECONDS)
        second.result(SECONDS)

    assert b"maxTimeMS" not in builds[0]
    assert find_missing() == []
    assert not BuildLock().exists()


def test_a_build_on_existing_data_is_logged(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    collection("trades").drop_index(BELOW)
    collection("trades").insert_many([{"number": 1}, {"number": 2}])

    create_indexes()

    assert "building 1 of the indexes of trades, with 2 documents" in caplog.text
    assert BELOW in collection("trades").index_information()


def test_a_long_build_keeps_its_lock_and_is_reported(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    lock, other = BuildLock(report_seconds=0), BuildLock()
    assert lock.take()

    with lock.kept():
        _expire_lock()
        eventually(lambda: "still building indexes" in caplog.text, SECONDS)
        # Renewed before it is reported.
        assert not other.take()

    assert other.take()


def test_the_lock_of_a_killed_process_expires_and_its_build_is_repeated(app: Flask) -> None:
    killed, other = BuildLock(), BuildLock()
    assert killed.take()
    assert not other.take()
    _expire_lock()
    collection("trades").drop_index(BELOW)

    create_indexes()

    assert find_missing() == []
    assert not other.exists()


def test_a_changed_ttl_is_set_on_the_existing_index(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    index = {"name": "created_at_1", "expireAfterSeconds": 60}
    database().command("collMod", "answers", index=index)
    assert find_missing() == ["answers.created_at"]

    create_indexes()

    stored = collection("answers").index_information()["created_at_1"]
    assert stored["expireAfterSeconds"] == RESPONSES_KEPT.total_seconds()
    assert "changing the TTL of answers.created_at_1" in caplog.text


@pytest.mark.parametrize(
    ("name", "fields", "options"),
    [
        # Not unique: two trades could have one number.
        ("trades", ("user_id", "portfolio_id", "number"), {}),
        # Unique among all trades: each user could have one without a client_order_id.
        ("trades", ("user_id", "client_order_id"), {"unique": True}),
        ("notifications", ("deliver_at",), {}),
    ],
)
def test_an_index_with_other_options_is_refused_with_the_remedy(
    app: Flask, name: str, fields: tuple[str, ...], options: dict[str, Any]
) -> None:
    index = "_".join(f"{field}_1" for field in fields)
    collection(name).drop_index(index)
    collection(name).create_index([(field, 1) for field in fields], **options)
    assert find_missing() == [f"{name}.{'_'.join(fields)}"]

    with pytest.raises(ConfigurationError, match=f'dropIndex."{index}"') as refusal:
        create_indexes()
    assert len(refusal.value.offences) == 1

    collection(name).drop_index(index)
    create_indexes()
    assert find_missing() == []


def test_a_command_builds_no_index_and_migrate_does(
    app: Flask, make_command: Callable[[], Flask]
) -> None:
    collection("trades").drop_index(BELOW)

    runner = make_command().test_cli_runner()
    doctor = runner.invoke(args=["doctor"])
    assert "missing: trades.waiting_symbol_trigger_below" in doctor.stdout, doctor.output
    assert find_missing() == ["trades.waiting_symbol_trigger_below"]

    result = runner.invoke(args=["migrate"])
    assert result.exit_code == 0, result.output
    assert "no index is missing" in result.stdout
    assert find_missing() == []


def test_the_first_command_on_an_empty_database_creates_everything(
    make_command: Callable[[], Flask],
) -> None:
    make_command()

    assert find_missing() == []


def test_on_data_of_an_earlier_version_only_migrate_runs(
    app: Flask, make_command: Callable[[], Flask]
) -> None:
    earlier = migrations.VERSION - 1
    collection("schema").update_one({"_id": "version"}, {"$set": {"number": earlier}})

    runner = make_command().test_cli_runner()
    refused = runner.invoke(args=["reconcile"])
    assert refused.exit_code == 1
    assert "flask --app run migrate" in refused.stderr

    migrated = runner.invoke(args=["migrate"])
    assert migrated.exit_code == 0, migrated.output
    assert f"in shape {migrations.VERSION}" in migrated.stdout
    again = make_command().test_cli_runner().invoke(args=["reconcile"])
    assert again.exit_code == 0, again.output


def _expire_lock() -> None:
    collection("leases").update_one({"_id": "indexes"}, {"$set": {"until": 0}})
