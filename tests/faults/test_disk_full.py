"""The disk fills up, the data folder disappears, or the database fails while the server runs."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.monitor import Monitor
from app.web.health import MONITOR_KEY
from config import Settings
from embedded_db.disk import MEGABYTE, Disk
from embedded_db.supervisor import EmbeddedDatabase
from tests.support.live import eventually
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.server import ServerProcess
from tests.support.users import PASSWORD, registration, sign_up

SECONDS = 60
ORDER = {"symbol": "NIFTY", "trade_type": "BUY", "quantity": 1}
MIN_FREE = 100 * MEGABYTE
pytestmark = pytest.mark.timeout(180)


class Room:
    """How much is free, as the test says."""

    def __init__(self) -> None:
        self.free = 10 * MIN_FREE

    def __call__(self, folder: Path) -> int:
        return self.free


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def disk(tmp_path: Path, room: Room) -> Disk:
    (tmp_path / "disk" / "database").mkdir(parents=True)
    disk = Disk(tmp_path / "disk", MIN_FREE, room)
    disk.remember_storage()
    return disk


@pytest.fixture
def app(
    disk: Disk,
    make_settings: Callable[..., Settings],
    make_app: Callable[..., Flask],
    mongo_uri: str,
    feed: ScriptedFeed,
    clock: ManualClock,
) -> Flask:
    # `make_app` clears the database afterwards.
    return create_app(make_settings(), mongo_uri=mongo_uri, feed=feed, clock=clock, disk=disk)


def test_below_the_minimum_of_free_space_writes_get_a_503_and_reads_are_answered(
    app: Flask,
    client: FlaskClient,
    monitor: Monitor,
    room: Room,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app.extensions[MONITOR_KEY] = monitor
    body = registration()
    trader = sign_up(client, **body)
    trader.open_portfolio()
    room.free = MIN_FREE - 1

    for _ in range(3):
        refused = trader.post("/trades/create", ORDER)
        assert_error(refused, 503, "disk_full")
        assert int(refused.headers["Retry-After"]) > 0
    assert_error(client.post("/auth/register", json=registration()), 503, "disk_full")
    assert trader.get(f"/portfolio/{trader.client_id}").status_code == 200
    assert trader.get("/market/live/NIFTY").status_code == 200
    assert trader.post("/trades/preview", ORDER).status_code == 200
    login = {"email": body["email"], "password": PASSWORD}
    assert client.post("/auth/login", json=login).status_code == 200
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.get_json()["checks"]["disk"] == {"status": "unavailable", "reason": "disk_full"}
    assert ready.get_json()["checks"]["database"] == {"status": "ok"}
    assert client.get("/health/live").status_code == 200
    assert caplog.text.count("MIN_FREE_DISK_MB") == 1

    room.free = MIN_FREE
    assert trader.post("/trades/create", ORDER).status_code == 201
    assert client.get("/health/ready").status_code == 200
    assert caplog.text.count("can be written again") == 1


def test_below_the_floor_a_stop_loss_is_still_settled(
    client: FlaskClient, monitor: Monitor, room: Room, feed: ScriptedFeed
) -> None:
    trader = sign_up(client)
    trader.open_portfolio()
    assert trader.post("/trades/create", {**ORDER, "stop_loss": 24_990}).status_code == 201
    room.free = 0

    feed.tick("^NSEI", "24989.50")

    assert monitor.run_once().closed == 1


def test_a_replaced_folder_is_not_written_until_the_original_returns(
    client: FlaskClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trader = sign_up(client)
    trader.open_portfolio()
    storage, aside = tmp_path / "disk" / "database", tmp_path / "aside"
    storage.rename(aside)

    for _ in range(2):
        refused = trader.post("/trades/create", ORDER)
        assert_error(refused, 503, "database_unavailable")
        assert "Retry-After" in refused.headers
        # A new folder in its place is not used either: its data would be lost.
        storage.mkdir(exist_ok=True)
    assert client.get("/health/ready").get_json()["checks"]["disk"]["reason"] == (
        "data_folder_missing"
    )
    assert caplog.text.count("is gone or was replaced") == 1

    storage.rmdir()
    aside.rename(storage)
    assert trader.post("/trades/create", ORDER).status_code == 201


def test_a_monitor_whose_pass_failed_is_not_ok_until_one_succeeds(
    app: Flask, client: FlaskClient, monitor: Monitor
) -> None:
    app.extensions[MONITOR_KEY] = monitor
    monitor.run_once()

    monitor.is_failing = True
    assert client.get("/health/ready").get_json()["checks"]["monitor"]["status"] == "unavailable"
    monitor.is_failing = False
    assert client.get("/health/ready").status_code == 200


def customer_of(server: ServerProcess) -> tuple[str, str]:
    """Register and open a portfolio; return the client_id and a token."""
    body = registration()
    client_id = server.request("POST", "/auth/register", json=body).json()["client_id"]
    login = {"email": body["email"], "password": PASSWORD}
    token = server.request("POST", "/auth/login", json=login).json()["access_token"]
    assert server.request("POST", "/portfolio/create", token, json={}).status_code == 201
    return client_id, token


def test_a_server_with_a_nearly_full_disk_starts_and_serves_reads(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server().start()
    client_id, token = customer_of(server)
    server.stop()
    server.environment["MIN_FREE_DISK_MB"] = "1000000000"
    server.spawn()
    eventually(lambda: "listening on" in server.output().rpartition("stopping")[2], SECONDS)

    refused = server.request("POST", "/trades/create", token, json=ORDER)
    assert (refused.status_code, refused.json()["code"]) == (503, "disk_full")
    assert "Retry-After" in refused.headers
    assert server.request("GET", f"/portfolio/{client_id}", token).status_code == 200
    assert server.request("GET", "/health/ready").status_code == 503


def test_a_data_folder_deleted_under_the_server_is_a_503_and_one_line_in_the_log(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server(MONITOR_INTERVAL_SECONDS=1).start()
    _, token = customer_of(server)
    data, aside = server.folder / "data", server.folder / "aside"

    data.rename(aside)
    for _ in range(5):
        refused = server.request("POST", "/trades/create", token, json=ORDER)
        assert refused.status_code == 503
        assert "Retry-After" in refused.headers
    assert server.request("GET", "/health/ready").status_code == 503
    assert server.output().count("is gone or was replaced") == 1
    assert "unexpected error" not in server.output()

    aside.rename(data)
    # If the folder was away for long, the database is started again first.
    eventually(lambda: server.request("POST", "/trades/create", token, json=ORDER).ok, 60)
    # The monitor is ready once a pass has succeeded.
    eventually(lambda: server.request("GET", "/health/ready").ok, SECONDS)


def test_a_database_that_answers_and_cannot_write_is_started_again_and_loses_nothing(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server().start()
    client_id, token = customer_of(server)
    assert server.request("POST", "/trades/create", token, json=ORDER).status_code == 201
    record = json.loads((server.folder / "data" / "database.json").read_text())
    pid = record["database_pid"]
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)

    # Whatever it writes from now on fails, as on a disk without room.
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    refused = server.request("POST", "/trades/create", token, json=ORDER)
    assert refused.status_code == 503, refused.text
    eventually(lambda: server.request("GET", "/health/ready").status_code == 503, SECONDS)

    eventually(lambda: server.request("GET", "/health/ready").status_code == 200, SECONDS)
    assert "answers but does not work" in server.output()
    trades = server.request("GET", f"/trades/{client_id}", token).json()["trades"]
    assert len(trades) == 1
    assert server.request("POST", "/trades/create", token, json=ORDER).status_code == 201


def test_the_log_of_a_running_database_is_bounded(tmp_path: Path) -> None:
    database = EmbeddedDatabase(tmp_path / "data")
    database.start()
    log = tmp_path / "data" / "database.log"
    try:
        with log.open("a") as file:
            file.write("x" * 3_000_000)
        database.limit_log()
        with log.open("a") as file:
            file.write("more")
    finally:
        database.stop()

    assert log.read_text() == "more"
    old = log.with_name("database.log.1")
    assert old.stat().st_size <= 1_000_000
    assert old.stat().st_mode & 0o077 == 0
