"""Alerts during an outage of the database: they fire when it is available again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from flask import Flask
from pymongo.errors import PyMongoError

from app import create_app
from app.alerts.service import set_alert
from app.extensions import mongo
from app.models import AlertTrigger, Notification
from config import Settings
from tests.support.database import DatabaseServer
from tests.support.execution import fire, fire_crossed
from tests.support.factories import create_user
from tests.support.market import ManualClock, ScriptedFeed


@pytest.fixture
def database(tmp_path: Path) -> Iterator[DatabaseServer]:
    """A separate database that the test kills."""
    server = DatabaseServer(tmp_path / "own").start()
    yield server
    if mongo.cx is not None:
        mongo.cx.close()
        mongo.cx = mongo.db = None
    server.kill()


@pytest.fixture
def app(
    database: DatabaseServer,
    make_settings: Callable[..., Settings],
    feed: ScriptedFeed,
    clock: ManualClock,
) -> Flask:
    return create_app(make_settings(), mongo_uri=database.uri, feed=feed, clock=clock)


def test_alerts_crossed_during_an_outage_fire_by_the_same_ticks(
    app: Flask, database: DatabaseServer, feed: ScriptedFeed
) -> None:
    with app.app_context():
        create_user("alice")
        alerts = [set_alert("alice", "^NSEI", above=Decimal(25_100)) for _ in range(2)]
        tick = feed.set("^NSEI", 25_200)
        trigger = alerts[0].condition.crossed_by(tick)
        assert trigger is not None
        database.kill()

        # Both if the alerts cannot be read and if they cannot be written.
        with pytest.raises(PyMongoError):
            fire_crossed([tick])
        with pytest.raises(PyMongoError):
            fire([AlertTrigger(alert, trigger) for alert in alerts])
        database.start()

        assert [fire_crossed([tick]), fire_crossed([tick])] == [2, 0]
        assert [event.seq for event in Notification.find_after("alice", 0, 9)] == [1, 2]
