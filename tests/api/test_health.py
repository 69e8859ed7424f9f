"""Liveness and readiness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.domain.quote import Source
from app.market_data.recordings.recorder import Recorder
from app.monitor import Monitor
from app.transport.connections import CONNECTIONS_KEY, Bounds, ConnectionTable
from app.web.health import MONITOR_KEY, RECORDER_KEY
from config import Settings
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.recording_files import write_recording
from tests.support.users import Trader


@pytest.fixture(autouse=True)
def a_monitor(app: Flask) -> None:
    """The application has a monitor, as in a server."""
    app.extensions[MONITOR_KEY] = Monitor(app)


def test_live_answers_whatever_the_market_does(client: FlaskClient, feed: ScriptedFeed) -> None:
    feed.set("^NSEI", 0)
    answer = client.get("/health/live")

    assert answer.status_code == 200
    assert answer.get_json() == {"status": "ok", "checks": {}}


def test_ready_tells_of_each_part(client: FlaskClient) -> None:
    answer = client.get("/health/ready")

    assert answer.status_code == 200
    assert answer.get_json() == {
        "status": "ok",
        "checks": {
            "database": {"status": "ok"},
            "market_data": {
                "status": "ok",
                "feed": "scripted",
                "sources": {},
                "source": "mock",
                "delayed": False,
                "age": 0.0,
                "unconfirmed": [],
                "held_ticks": {},
            },
            "monitor": {"status": "ok"},
        },
    }


def test_ready_tells_of_a_late_source_and_the_age_of_its_price(
    client: FlaskClient, feed: ScriptedFeed, clock: ManualClock
) -> None:
    feed.source = Source.YAHOO
    feed.set("^NSEI", 25_000)
    clock.advance(20.5)

    market_data = client.get("/health/ready").get_json()["checks"]["market_data"]
    assert market_data["source"] == "yahoo"
    assert market_data["delayed"] is True
    assert market_data["age"] == 20.5


def test_without_a_price_it_is_not_ready_and_says_why(
    client: FlaskClient, feed: ScriptedFeed
) -> None:
    feed.set("^NSEI", 0)
    answer = client.get("/health/ready")

    assert answer.status_code == 503
    body = answer.get_json()
    assert set(body) == {"status", "checks"}
    assert body["status"] == "unavailable"
    assert body["checks"]["database"] == {"status": "ok"}
    assert body["checks"]["market_data"]["status"] == "unavailable"
    assert "^NSEI" in body["checks"]["market_data"]["reason"]


def test_a_monitor_that_stopped_passing_makes_it_not_ready(
    app: Flask, client: FlaskClient, monitor: Monitor, clock: ManualClock
) -> None:
    app.extensions[MONITOR_KEY] = monitor
    monitor.run_once()
    assert client.get("/health/ready").status_code == 200

    clock.advance(36)
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.get_json()["checks"]["monitor"] == {
        "status": "unavailable",
        "seconds_since_last_pass": 36.0,
    }


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_needs_no_token(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers={"Authorization": "Bearer bad"}).status_code == 200


def test_a_recording_without_the_indices_is_ready(
    make_app: Callable[..., Flask],
    make_settings: Callable[..., Settings],
    mongo_uri: str,
    tmp_path: Path,
    clock: ManualClock,
) -> None:
    path = write_recording(tmp_path / "day.csv", [(0, "TCS.NS", 3_000), (60, "INFY.NS", 1_500)])
    settings = make_settings(MARKET_DATA="replay", REPLAY_FILE=path)
    app = create_app(settings, mongo_uri=mongo_uri, clock=clock)
    app.extensions[MONITOR_KEY] = Monitor(app)

    answer = app.test_client().get("/health/ready")

    assert answer.status_code == 200
    assert answer.get_json()["checks"]["market_data"]["source"] == "replay"


def test_a_source_without_the_indices_is_judged_by_what_it_polled(
    client: FlaskClient, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    feed.remote = True
    feed.set("^NSEI", 0)
    feed.push("TCS.NS", 3_000)
    monitor.run_arrived()
    assert client.get("/health/ready").status_code == 200

    clock.advance(60)
    assert client.get("/health/ready").status_code == 503


def test_without_a_monitor_it_is_not_ready_and_says_so(app: Flask, client: FlaskClient) -> None:
    del app.extensions[MONITOR_KEY]

    answer = client.get("/health/ready")

    assert answer.status_code == 503
    monitor = answer.get_json()["checks"]["monitor"]
    assert monitor["status"] == "unavailable"
    assert "python run.py" in monitor["reason"]


@pytest.mark.parametrize("server", [{"SERVER_SOFTWARE": "gunicorn"}, {"uwsgi.version": b"2.0"}])
def test_without_a_monitor_another_web_server_gets_no_further_than_health(
    app: Flask, client: FlaskClient, server: dict[str, object]
) -> None:
    del app.extensions[MONITOR_KEY]

    refused = client.get("/market/live/NIFTY", environ_base=server)

    assert (refused.status_code, refused.get_json()["code"]) == (503, "no_monitor")
    assert client.get("/health/live", environ_base=server).status_code == 200
    app.extensions[MONITOR_KEY] = Monitor(app)
    assert client.get("/market/live/NIFTY", environ_base=server).status_code == 200


class TestOfAWebProcess:
    """It has connections, and no monitor."""

    @pytest.fixture
    def web(self, app: Flask) -> FlaskClient:
        del app.extensions[MONITOR_KEY]
        app.extensions[CONNECTIONS_KEY] = ConnectionTable(Bounds(100, None))
        return app.test_client()

    def test_it_is_not_ready_without_a_living_worker(self, web: FlaskClient) -> None:
        answer = web.get("/health/ready")

        assert answer.status_code == 503
        check = answer.get_json()["checks"]["monitor"]
        assert (check["status"], check["role"]) == ("unavailable", "web")
        assert "flask --app run worker" in check["reason"]

    def test_it_is_ready_while_a_worker_lives(self, app: Flask, web: FlaskClient) -> None:
        Monitor(app).run_if_leased()

        answer = web.get("/health/ready")

        assert answer.status_code == 200
        assert answer.get_json()["checks"]["monitor"] == {"status": "ok", "role": "web"}

    def test_it_serves_requests(self, web: FlaskClient) -> None:
        server = {"SERVER_SOFTWARE": "gunicorn"}
        assert web.get("/market/live/NIFTY", environ_base=server).status_code == 200


def test_a_recorder_that_cannot_write_degrades_the_server_and_stops_no_market(
    app: Flask,
    client: FlaskClient,
    clock: ManualClock,
    feed: ScriptedFeed,
    alice: Trader,
    tmp_path: Path,
) -> None:
    free = [0]
    recorder = Recorder(
        tmp_path / "market.csv", clock, min_free_bytes=1, free=lambda _folder: free[0]
    )
    app.extensions[RECORDER_KEY] = recorder
    app.extensions[MONITOR_KEY] = monitor = Monitor(app, recorder=recorder)
    alice.create_trade(stop_loss=24_900)
    feed.tick("^NSEI", 24_800)
    assert monitor.run_once().closed == 1
    recorder.flush()

    answer = client.get("/health/ready")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "degraded")
    assert answer.get_json()["checks"]["recorder"] == {
        "status": "degraded",
        "reason": "No space left on device",
        "ticks": 0,
        "lost": 0,
    }
    free[0] = 1
    recorder.flush()
    assert client.get("/health/ready").get_json()["checks"]["recorder"]["status"] == "ok"
    assert recorder.written == 2
    recorder.close()
