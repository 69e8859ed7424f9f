"""`flask --app run ...`, run from the repository's folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from app.database.ping import is_reachable
from config import DATABASE_NAME
from embedded_db.supervisor import EmbeddedDatabase
from tests.support.deployment import GUNICORN
from tests.support.server import INHERITED, ROOT, ServerProcess, free_port
from tests.support.users import PASSWORD, registration

# Of the recording below.
END = datetime(2026, 1, 5, 4, 0, 1, tzinfo=UTC)
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def flask(tmp_path: Path) -> Run:
    """Run a command of the application as a process."""

    def run(*arguments: str, **environment: Any) -> subprocess.CompletedProcess[str]:
        surroundings = {name: os.environ[name] for name in INHERITED if name in os.environ}
        variables = {
            "APP_ENV": "testing",
            "DATA_DIR": tmp_path / "data",
            "MARKET_DATA": "simulated",
            **environment,
        }
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "run", *arguments],
            cwd=ROOT,
            env={**surroundings, **{name: str(value) for name, value in variables.items()}},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    return run


def corrupt(data_dir: Path) -> None:
    """Give every portfolio a rupee too much, past the application."""
    uri = EmbeddedDatabase(data_dir).running_uri(is_reachable)
    assert uri is not None
    with MongoClient[dict[str, Any]](uri) as client:
        client[DATABASE_NAME]["portfolios"].update_many({}, {"$inc": {"available_margin": 1}})


def assert_no_traceback(result: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in result.stdout + result.stderr


def test_reconcile_works_beside_a_running_server_and_without_one(
    make_server: Callable[..., ServerProcess], flask: Run
) -> None:
    server = make_server(MARKET_DATA="simulated").start()
    data_dir = server.environment["DATA_DIR"]
    body = registration()
    server.request("POST", "/auth/register", json=body)
    login = {"email": body["email"], "password": PASSWORD}
    token = server.request("POST", "/auth/login", json=login).json()["access_token"]
    server.request("POST", "/portfolio/create", token, json={})
    order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}
    assert server.request("POST", "/trades/create", token, json=order).status_code == 201

    beside = flask("reconcile", DATA_DIR=data_dir)
    assert beside.returncode == 0, beside.stderr
    assert beside.stdout == "1 portfolios agree with their trades.\n"
    assert "Reconciling" in beside.stderr

    corrupt(Path(data_dir))
    found = flask("reconcile", DATA_DIR=data_dir)
    assert found.returncode == 1
    assert f"{body['email']}  default    available_margin" in found.stdout
    assert "Nothing was changed." in found.stdout
    assert server.request("GET", "/health/ready").status_code == 200
    assert server.stop() == 0

    repaired = flask("reconcile", "--repair", DATA_DIR=data_dir)
    assert repaired.returncode == 1
    assert "1 differences were repaired." in repaired.stdout
    # The command's own database has ended with it, and left the folder to the next.
    assert flask("reconcile", DATA_DIR=data_dir).returncode == 0
    server.start()
    portfolio = server.request("GET", f"/portfolio/{body['email']}", token).json()
    assert portfolio["available_margin"] + portfolio["utilized_margin"] == 100_000.0


def test_doctor_finds_a_fresh_folder_well(flask: Run) -> None:
    result = flask("doctor")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "FAULT" not in result.stdout
    assert_no_traceback(result)


def test_an_invalid_configuration_is_reported_in_full_without_a_traceback(
    flask: Run,
) -> None:
    for command in ("doctor", "reconcile"):
        result = flask(command, PORT="seventy", MAX_QUOTE_MOVE="-1")
        assert result.returncode != 0
        assert "PORT: " in result.stderr
        assert "MAX_QUOTE_MOVE: " in result.stderr
        assert ".env.example" in result.stderr
        assert_no_traceback(result)


def test_an_unreachable_database_is_reported_without_a_traceback(flask: Run) -> None:
    uri = f"mongodb://user:a-password@127.0.0.1:{free_port()}/"
    result = flask("doctor", MONGO_URI=uri)
    assert result.returncode != 0
    assert "correct MONGO_URI" in result.stderr
    assert "a-password" not in result.stdout + result.stderr
    assert_no_traceback(result)


def test_a_command_beside_a_server_leaves_its_replay_alone(
    make_server: Callable[..., ServerProcess], flask: Run, tmp_path: Path
) -> None:
    recording = tmp_path / "market.csv"
    recording.write_text(
        "timestamp,symbol,price\n2026-01-05T04:00:00Z,^NSEI,25000\n"
        "2026-01-05T04:00:00Z,^BSESN,80000\n2026-01-05T04:00:01Z,^NSEI,25001\n"
    )
    market = {"MARKET_DATA": "replay", "REPLAY_FILE": recording, "REPLAY_SPEED": 1}
    server = make_server(**market).start()
    uri = EmbeddedDatabase(Path(server.environment["DATA_DIR"])).running_uri(is_reachable)
    with MongoClient[dict[str, Any]](uri) as client:
        states = client[DATABASE_NAME]["market"]
        before = states.find_one({"_id": "replay"})
        assert before is not None
        while not states.count_documents({"_id": "replay", "settled_to": {"$gte": END}}):
            assert server.request("GET", "/health/ready").status_code == 200
        # It has ended and nothing is open: a server that started now would start it over.
        result = flask("reconcile", DATA_DIR=server.environment["DATA_DIR"], **market)
        assert result.returncode == 0, result.stderr
        after = states.find_one({"_id": "replay"})
        assert after is not None
        assert after["began_at"] == before["began_at"]


def test_flask_run_is_refused_with_a_sentence(flask: Run) -> None:
    for arguments in ("run",), ("run", "--debug", "--port", str(free_port())):
        result = flask(*arguments)
        assert result.returncode != 0
        assert "python run.py" in result.stderr
        assert_no_traceback(result)


# One worker: gunicorn itself may end with a traceback if several fail at once.
@pytest.mark.parametrize("worker", ["sync", "gevent"])
def test_gunicorn_is_refused_with_a_sentence_and_ends(tmp_path: Path, worker: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    result = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-k", worker, "-b", address, "run:create_app()"],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 4
    assert "python run.py" in result.stderr
    assert_no_traceback(result)
    assert not (tmp_path / "data").exists()


def test_a_worker_needs_a_shared_database_and_redis(flask: Run, tmp_path: Path) -> None:
    result = flask("worker", DATA_DIR=str(tmp_path / "data"))

    assert result.returncode != 0
    for name in ("MONGO_URI", "REDIS_URL"):
        assert f"{name}: must be set" in result.stderr
    assert_no_traceback(result)


def test_a_web_process_needs_a_shared_database_and_redis_and_gunicorn_ends(tmp_path: Path) -> None:
    result = subprocess.run(
        GUNICORN,
        env={
            **os.environ,
            "PORT": str(free_port()),
            "WEB_CONCURRENCY": "1",
            "DATA_DIR": str(tmp_path / "data"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 4
    for name in ("MONGO_URI", "REDIS_URL"):
        assert f"{name}: must be set" in result.stderr
    assert_no_traceback(result)
