"""The kind of MongoDB: one without transactions is refused, and its remedy named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from app.database import init_app
from app.database.deployment import describe_deployment
from app.database.pulse import Pulse
from app.extensions import mongo
from config import ConfigurationError, Settings
from tests.fakes.mongodb import standalone_mongod
from tests.support.database import DatabaseServer
from tests.support.lost_reply import LosingProxy
from tests.support.market import ManualClock, ScriptedFeed


@pytest.fixture(autouse=True)
def closed_client() -> Iterator[None]:
    yield
    if mongo.cx is not None:
        mongo.cx.close()
    mongo.cx = mongo.db = None


def test_a_standalone_mongod_is_refused_with_what_to_type(
    make_settings: Callable[..., Settings], feed: ScriptedFeed, clock: ManualClock
) -> None:
    with standalone_mongod() as uri, pytest.raises(ConfigurationError) as refusal:
        create_app(make_settings(MONGO_URI=uri), feed=feed, clock=clock)

    (offence,) = refusal.value.offences
    assert offence.startswith("MONGO_URI: names a standalone MongoDB")
    assert "--replSet rs0" in offence
    assert "docker exec mongo mongosh --eval" in offence
    assert "replSetName: rs0" in offence
    assert "MONGO_URI=mongodb://127.0.0.1:27017/?replicaSet=rs0" in offence


def test_a_command_refuses_a_standalone_mongod_as_well(
    make_settings: Callable[..., Settings], feed: ScriptedFeed, clock: ManualClock
) -> None:
    with standalone_mongod() as uri, pytest.raises(ConfigurationError, match="replSetName"):
        create_app(make_settings(MONGO_URI=uri), feed=feed, clock=clock, for_command=True)


@pytest.mark.parametrize(
    ("hello", "deployment"),
    [
        ({"setName": "rs0"}, "replica set rs0"),
        ({"msg": "isdbgrid"}, "a sharded cluster"),
        ({}, None),
    ],
)
def test_the_answer_to_hello_tells_the_kinds_of_deployment_apart(
    hello: dict[str, str], deployment: str | None
) -> None:
    with standalone_mongod(**hello) as uri:
        init_app(Flask(__name__), uri)
        assert describe_deployment() == deployment


def test_the_embedded_database_is_accepted_under_any_uri(mongo_server: str) -> None:
    init_app(Flask(__name__), mongo_server)

    assert describe_deployment() in ("a lone server", "replica set secantus")


def test_a_database_without_a_majority_is_not_ready_although_it_reads(tmp_path: Path) -> None:
    database = DatabaseServer(tmp_path / "database").start()
    with LosingProxy(database.port) as proxy:
        init_app(Flask(__name__), f"mongodb://{proxy.address}/pulse?{proxy.options}")
        assert Pulse().check() is None

        with proxy.holding(b"majority"):
            error = Pulse().check()

        assert error is not None
        assert error.timeout
    database.kill()
