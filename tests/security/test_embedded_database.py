"""The embedded database serves its owner alone, and its files are private."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from app.database.ping import is_reachable
from config import ConfigurationError, load_settings
from embedded_db import data_folder
from embedded_db.supervisor import PROGRAM, EmbeddedDatabase, StartError, program_command
from tests.support.database import DatabaseServer
from tests.support.live import eventually
from tests.support.server import ServerProcess
from tests.support.users import registration

SECONDS = 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def database(folder: Path) -> Iterator[EmbeddedDatabase]:
    """A running database, written under the widest umask there is."""
    before = os.umask(0)
    embedded = EmbeddedDatabase(folder)
    try:
        embedded.start()
        yield embedded
    finally:
        os.umask(before)
        embedded.stop()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def anonymous(database: EmbeddedDatabase) -> str:
    return f"mongodb://{database.uri.rpartition('@')[2].partition('?')[0]}?directConnection=true"


def connect(uri: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(uri, serverSelectionTimeoutMS=1_000)


def open_to_all(folder: Path) -> None:
    """Give a folder and its contents the modes of earlier versions."""
    for each in [folder, *folder.rglob("*")]:
        each.chmod(0o755 if each.is_dir() else 0o644)


def assert_closed(folder: Path) -> None:
    assert mode_of(folder) == 0o700
    wide = [each for each in folder.rglob("*") if each.lstat().st_mode & 0o077]
    assert wide == []


def test_only_its_owner_may_read_its_files(database: EmbeddedDatabase, folder: Path) -> None:
    with connect(database.uri) as client:
        client.kept.numbers.insert_one({"_id": 1})

    assert_closed(folder)
    assert mode_of(folder / "database_secret") == mode_of(folder / "database.json") == 0o600


def test_a_folder_that_an_earlier_version_left_open_is_closed_and_its_data_kept(
    folder: Path,
) -> None:
    first = EmbeddedDatabase(folder)
    first.start()
    with connect(first.uri) as client:
        client.kept.numbers.insert_one({"_id": 1})
    first.stop()
    (folder / "database_secret").unlink()
    open_to_all(folder)
    (folder / "notes.txt").write_text("not the server's")
    (folder / "notes.txt").chmod(0o644)

    second = EmbeddedDatabase(folder)
    second.start()

    try:
        with connect(second.uri) as client:
            assert client.kept.numbers.count_documents({}) == 1
        assert mode_of(folder / "notes.txt") == 0o644
        (folder / "notes.txt").unlink()
        assert_closed(folder)
    finally:
        second.stop()


def test_data_written_without_authentication_is_served_with_it(folder: Path) -> None:
    folder.mkdir()
    port = DatabaseServer(folder / "unused").port
    flags = ["--host", "127.0.0.1", "--port", port, "--storage-path", folder / "database"]
    command = [*program_command(), *flags, "--sync-on-commit"]
    with subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE) as process:
        with MongoClient[dict[str, Any]](
            f"mongodb://127.0.0.1:{port}/", serverSelectionTimeoutMS=SECONDS * 1000
        ) as client:
            client.kept.numbers.insert_one({"_id": 1})
        process.kill()
    database = EmbeddedDatabase(folder)
    database.start()

    try:
        with connect(database.uri) as client:
            assert client.kept.numbers.count_documents({}) == 1
        with connect(anonymous(database)) as client, pytest.raises(OperationFailure):
            client.kept.numbers.count_documents({})
    finally:
        database.stop()


def test_a_folder_of_another_user_that_is_open_is_refused_with_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(mode=0o755)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    for refused in (
        lambda: EmbeddedDatabase(folder).start(),
        lambda: load_settings({"DATA_DIR": str(folder)}),
    ):
        with pytest.raises((ConfigurationError, StartError), match="other users may") as refusal:
            refused()
        assert "DATA_DIR: " in str(refusal.value)
    assert mode_of(folder) == 0o755
    assert list(folder.iterdir()) == []


def test_a_folder_shared_by_all_users_is_refused_and_left_as_it_is(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o1777)

    with pytest.raises(StartError, match="shared by all users"):
        EmbeddedDatabase(folder).start()
    assert mode_of(folder) == 0o1777


def test_a_link_in_the_folder_does_not_lead_to_the_modes_of_other_files(
    folder: Path, tmp_path: Path
) -> None:
    folder.mkdir(mode=0o700)
    other = tmp_path / "other"
    other.write_text("")
    other.chmod(0o644)
    (folder / "database.log").symlink_to(other)

    data_folder.close_files(folder)

    assert mode_of(other) == 0o644


@pytest.mark.parametrize("userinfo", ["", "paper_trading:guess@", "admin:admin@"])
def test_a_client_without_the_secret_reads_and_writes_nothing(
    database: EmbeddedDatabase, userinfo: str
) -> None:
    uri = anonymous(database).replace("mongodb://", f"mongodb://{userinfo}")
    with connect(uri) as client:
        for attempt in (
            lambda: client.list_database_names(),
            lambda: client.paper_trading.users.find_one(),
            lambda: client.paper_trading.users.insert_one({}),
            lambda: client.admin.command("createUser", "me", pwd="me", roles=["root"]),
            lambda: client.admin.command("getLog", "global"),
        ):
            with pytest.raises(
                PyMongoError, match=r"requires authentication|authentication failed"
            ):
                attempt()


def test_the_secret_is_neither_in_the_arguments_nor_in_the_environment_of_the_process(
    database: EmbeddedDatabase, folder: Path
) -> None:
    pid = json.loads((folder / "database.json").read_text())["database_pid"]
    secret = (folder / "database_secret").read_text()
    listed = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=True
    )

    assert str(PROGRAM) in listed.stdout
    assert secret not in listed.stdout
    environment = Path(f"/proc/{pid}/environ")
    assert not environment.exists() or secret.encode() not in environment.read_bytes()


def test_each_folder_has_its_own_secret(database: EmbeddedDatabase, tmp_path: Path) -> None:
    other = EmbeddedDatabase(tmp_path / "other")
    other.start()
    try:
        port = other.uri.rpartition(":")[2]
        uri = f"{database.uri.rpartition(':')[0]}:{port}"
        with connect(uri) as client, pytest.raises(OperationFailure):
            client.kept.numbers.find_one()
    finally:
        other.stop()


def test_a_database_that_does_not_know_the_secret_is_not_taken_for_the_folders(
    database: EmbeddedDatabase, folder: Path, tmp_path: Path
) -> None:
    impostor = DatabaseServer(tmp_path / "impostor").start()
    try:
        record = json.loads((folder / "database.json").read_text())
        assert EmbeddedDatabase(folder).running_uri(is_reachable) == database.uri
        (folder / "database.json").write_text(json.dumps(record | {"port": impostor.port}))

        assert EmbeddedDatabase(folder).running_uri(is_reachable) is None
    finally:
        impostor.kill()


def test_the_server_leaves_a_port_that_another_program_took_and_tells_it_nothing(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server().start()
    person = registration()
    assert server.request("POST", "/auth/register", json=person).status_code == 201
    record = json.loads((server.folder / "data" / "database.json").read_text())
    received: list[bytes] = []

    os.kill(record["database_pid"], signal.SIGKILL)
    impostor = take_port(record["port"], received)
    try:
        eventually(lambda: "listens on port" in server.output(), SECONDS)
        eventually(lambda: server.request("GET", "/health/ready").status_code == 200, SECONDS)
    finally:
        impostor.close()
    moved = json.loads((server.folder / "data" / "database.json").read_text())
    assert moved["port"] != record["port"]
    login = {"email": person["email"], "password": person["password"]}
    assert server.request("POST", "/auth/login", json=login).status_code == 200
    said = b"".join(received)
    assert person["email"].encode() not in said
    assert b"\x02find\x00" not in said
    assert (server.folder / "data" / "database_secret").read_text().encode() not in said


def take_port(port: int, received: list[bytes]) -> socket.socket:
    """Listen on a port as soon as it is free; record what it receives, and never reply."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def bind() -> bool:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

    eventually(bind, SECONDS)
    listener.listen()

    def listen() -> None:
        connections = []
        while True:
            try:
                connections.append(listener.accept()[0])
                connections[-1].settimeout(0.2)
                received.append(connections[-1].recv(65_536))
            except TimeoutError:
                continue
            except OSError:
                break
        for each in connections:
            each.close()

    threading.Thread(target=listen, daemon=True).start()
    return listener


def test_the_log_of_the_database_is_continued_and_bounded(folder: Path) -> None:
    for size, kept in ((10, 10), (1_000_001, 0)):
        folder.mkdir(exist_ok=True)
        (folder / "database.log").write_text("x" * size)
        database = EmbeddedDatabase(folder)
        database.start()
        database.stop()
        assert (folder / "database.log").read_text().count("x" * 10) == kept // 10
    assert len((folder / "database.log.1").read_text()) == 1_000_000


def test_the_servers_own_log_is_for_its_user_alone(
    make_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    make_server(LOG_FILE=log).start()

    assert mode_of(log) == 0o600
