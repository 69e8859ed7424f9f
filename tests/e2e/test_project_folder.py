"""The server reads .env and finds its data from every working directory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.project import copy_project
from tests.support.server import INHERITED, ServerProcess, free_port

ENDS_WITHIN_SECONDS = 90


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path / "project")


@pytest.fixture
def run(project: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program of the project from another folder, without any variable of our own."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=elsewhere,
            env={name: os.environ[name] for name in INHERITED if name in os.environ},
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN_SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def server(project: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of the copied project, started from a third folder."""
    server = ServerProcess(tmp_path / "third", entry=project / "run.py")
    server.environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    yield server
    if server.process is not None:
        server.stop()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("PORT=7000\n".encode("utf-16"), "UTF-16"),
        ("SMTP_FROM=José\n".encode("latin-1"), "save it as UTF-8"),
        (b"SMTP_PASSWROD=x\n", "did you mean SMTP_PASSWORD?"),
        (b"LOG_FILE=.\n", "LOG_FILE: cannot be written: Is a directory"),
        (b"LOG_FORMAT=json\nREDIS_URI=x\n", "did you mean REDIS_URL?"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start_with_a_sentence(
    project: Path,
    run: Callable[..., subprocess.CompletedProcess[str]],
    content: bytes,
    says: str,
) -> None:
    (project / ".env").write_bytes(content)

    result = run(project / "run.py")

    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_folder_in_place_of_the_file_stops_the_start_with_a_sentence(
    project: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (project / ".env").mkdir()

    result = run(project / "run.py")

    assert result.returncode == 2
    assert ".env: cannot be read: Is a directory" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_server_and_its_commands_find_the_same_data_from_any_folder(
    project: Path, server: ServerProcess, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    lines = ["APP_ENV=testing", f"PORT={server.port}", "DATA_DIR=books", "MARKET_DATA=simulated"]
    (project / ".env").write_text("\n".join(lines))
    server.start()
    body = {"name": "A", "email": "a@example.com", "phone": "9876543210", "password": "trading-1"}
    server.request("POST", "/auth/register", json=body)
    login = {name: body[name] for name in ("email", "password")}
    token = server.request("POST", "/auth/login", json=login).json()["access_token"]
    server.request("POST", "/portfolio/create", token, json={})

    result = run("-m", "flask", "--app", project / "run", "reconcile")

    assert result.stdout == "1 portfolios agree with their trades.\n", result.stderr
    assert (project / "books" / "secret_key").exists()
    assert not (server.folder / "books").exists()


def test_a_port_that_is_taken_is_named_with_an_address_in_brackets(
    project: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    port = free_port()
    (project / ".env").write_text(f"HOST=2001:db8::1\nPORT={port}\n")

    assert f"cannot listen on [2001:db8::1]:{port}: " in run(project / "run.py").stderr
