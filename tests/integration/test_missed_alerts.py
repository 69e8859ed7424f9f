"""Alerts whose level was crossed in a gap fire after it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from flask import Flask

from app.alerts.service import set_alert
from app.domain.alert import Direction
from app.domain.triggers import CandlesAfter, SettledFrom
from tests.support.alerts import events_of, reload, request
from tests.support.execution import fire_missed
from tests.support.factories import create_user
from tests.support.market import ManualClock, ScriptedFeed


@pytest.fixture(autouse=True)
def people(app_context: Flask) -> None:
    create_user("alice")


def candles(feed: ScriptedFeed, until: datetime) -> CandlesAfter:
    return lambda symbol, after: feed.candles(symbol, after, until)


def test_a_level_crossed_in_a_gap_fires_once_with_its_time(
    feed: ScriptedFeed, clock: ManualClock
) -> None:
    alert = set_alert("alice", **request(above=25_100, below=24_900))
    since = clock.now()
    clock.advance(600)
    feed.record("^NSEI", since + timedelta(minutes=1), 25_000, 25_050)
    reached = feed.record("^NSEI", since + timedelta(minutes=2), 25_050, 25_150)
    feed.record("^NSEI", since + timedelta(minutes=3), 25_000, 24_000)

    for fired in (1, 0):
        after = candles(feed, clock.now())
        assert fire_missed(["^NSEI", "TCS.NS"], after, since) == fired

    crossing = reload(alert).trigger
    assert crossing is not None
    assert crossing.settled_from is SettledFrom.GAP
    assert (crossing.direction, crossing.quote.price) == (Direction.ABOVE, Decimal(25_100))
    assert crossing.quote.timestamp == reached.time
    (event,) = events_of("alice")
    assert event.data["settled_from"] == "gap"
    assert event.message == (
        f"^NSEI rose to ₹25,100.00 at {reached.time:%d %b %Y %H:%M} UTC, while the server was away "
        "or had no prices. Your alert was set for ₹25,100.00 or above."
    )


def test_prices_from_before_an_alert_do_not_fire_it(feed: ScriptedFeed, clock: ManualClock) -> None:
    since = clock.now()
    feed.record("^NSEI", since + timedelta(minutes=1), 24_000, 26_000)
    clock.advance(300)
    feed.set("^NSEI", 25_000)
    set_alert("alice", **request(above=25_100, below=24_900))
    clock.advance(10)

    assert fire_missed(["^NSEI"], candles(feed, clock.now()), since) == 0
