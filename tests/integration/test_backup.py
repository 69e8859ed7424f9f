"""`flask backup` and `flask restore`."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from pymongo import MongoClient

from app.database.backup import EXCLUDED, RESTORING, restore, write_backup
from app.database.indexes import INDEXES, find_missing
from app.extensions import mongo
from app.monitor import Monitor
from config import ConfigurationError
from tests.support.own_client import collection
from tests.support.users import Trader, sign_up

pytestmark = pytest.mark.own_database


def run(app: Flask, *args: object) -> Result:
    return app.test_cli_runner().invoke(args=[str(arg) for arg in args])


def everything() -> dict[str, list[Any]]:
    return {
        name: list(collection(name).find().sort("_id"))
        for name in sorted(INDEXES.keys() - EXCLUDED)
    }


@pytest.fixture
def busy(alice: Trader, bob: Trader) -> None:
    """Two users with open and closed trades."""
    for trader in (alice, bob):
        first = trader.create_trade(symbol="RELIANCE", quantity=3, stop_loss=1_300).get_json()
        trader.create_trade(symbol="^NSEI", trade_type="SELL", quantity=1)
        trader.post(f"/trades/exit/{first['trade_id']}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.zip"


@pytest.mark.usefixtures("busy")
def test_a_restore_brings_back_every_document_and_index(app: Flask, file: Path) -> None:
    before = everything()
    made = run(app, "backup", file)
    assert made.exit_code == 0, made.output
    assert "Keep SECRET_KEY" in made.output
    for name in before:
        collection(name).drop()

    result = run(app, "restore", file)

    assert result.exit_code == 0, result.output
    assert "2 portfolios agree with their trades." in result.output
    assert everything() == before
    assert find_missing() == []


@pytest.mark.usefixtures("busy")
def test_a_restored_server_goes_on_where_the_backup_was(
    app: Flask, client: FlaskClient, alice: Trader, file: Path
) -> None:
    run(app, "backup", file)
    portfolio = alice.portfolio()
    alice.post(f"/trades/exit-all/{alice.client_id}")
    stranger = sign_up(client)

    assert run(app, "restore", file, "--replace").exit_code == 0

    assert alice.portfolio() == portfolio
    assert stranger.get(f"/portfolio/{stranger.client_id}").status_code in (401, 404)
    assert alice.post(f"/trades/exit-all/{alice.client_id}").get_json()["count"] == 1
    assert "agree" in run(app, "reconcile").output


def test_a_backup_is_of_one_instant_while_users_trade(
    app: Flask, alice: Trader, file: Path, database_client: MongoClient[dict[str, Any]]
) -> None:
    if "secantusVersion" in database_client.admin.command("buildInfo") and not mongo.is_secantus:
        pytest.skip("what acts as MongoDB here has no snapshots outside of transactions")
    alice.create_trade(symbol="RELIANCE")

    def trade_between_collections(_count: int) -> None:
        alice.create_trade(symbol="RELIANCE")

    before = everything()
    with app.app_context():
        with file.open("wb") as target:
            write_backup(target, "2026-11-27T10:00:00.000Z", trade_between_collections)
        assert len(alice.trades()) > 1
        with zipfile.ZipFile(file) as archive:
            restore(archive, lambda _count: None)

    assert everything() == before


def test_only_the_owner_can_read_a_backup(app: Flask, alice: Trader, file: Path) -> None:
    assert run(app, "backup", file).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_exists_is_kept(app: Flask, file: Path) -> None:
    file.write_text("precious")

    refused = run(app, "backup", file)
    assert refused.exit_code == 1
    assert "add --force" in refused.output
    assert file.read_text() == "precious"

    assert run(app, "backup", file, "--force").exit_code == 0
    assert zipfile.is_zipfile(file)


def test_a_folder_that_is_missing_is_named(app: Flask, tmp_path: Path) -> None:
    result = run(app, "backup", tmp_path / "nowhere" / "backup.zip")
    assert result.exit_code == 1
    assert "nowhere" in result.output


def test_a_database_with_users_is_not_overwritten_by_accident(
    app: Flask, alice: Trader, file: Path
) -> None:
    run(app, "backup", file)
    before = everything()

    result = run(app, "restore", file)

    assert result.exit_code == 1
    assert "--replace" in result.output
    assert everything() == before


@pytest.mark.parametrize("damage", ["cut", "changed", "not a zip", "no manifest"])
def test_a_damaged_file_changes_nothing(app: Flask, alice: Trader, file: Path, damage: str) -> None:
    run(app, "backup", file)
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        # A byte of the compressed documents of the first collection that has some.
        with zipfile.ZipFile(file) as archive:
            entry = next(entry for entry in archive.infolist() if entry.file_size)
        position = entry.header_offset + 60 + entry.compress_size // 2
        changed = bytes([content[position] ^ 0xFF])
        file.write_bytes(content[:position] + changed + content[position + 1 :])
    elif damage == "not a zip":
        file.write_text("hello")
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("trades.bson", b"")
    before = everything()

    result = run(app, "restore", file, "--replace")

    assert result.exit_code == 1, result.output
    assert everything() == before


def test_a_restore_is_refused_while_a_server_runs(
    app: Flask, alice: Trader, monitor: Monitor, file: Path
) -> None:
    run(app, "backup", file)
    monitor.run_if_leased()
    before = everything()

    result = run(app, "restore", file, "--replace")

    assert result.exit_code == 1
    assert "Stop every server first" in result.output
    assert everything() == before


def test_an_interrupted_restore_keeps_servers_from_starting_until_it_is_repeated(
    app: Flask, make_app: Callable[..., Flask], alice: Trader, file: Path
) -> None:
    run(app, "backup", file)
    before = everything()
    # What a killed restore leaves behind.
    collection("schema").insert_one(RESTORING)
    collection("trades").drop()

    with pytest.raises(ConfigurationError, match="restore FILE --replace"):
        make_app()
    assert run(app, "backup", file.with_name("other.zip")).exit_code == 1
    assert run(app, "restore", file).exit_code == 1
    assert run(app, "restore", file, "--replace").exit_code == 0
    assert everything() == before
    make_app()


def test_a_backup_of_a_later_version_is_refused(app: Flask, alice: Trader, file: Path) -> None:
    run(app, "backup", file)
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    manifest = entries["backup.json"].replace(b'"shape": ', b'"shape": 9')
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (entries | {"backup.json": manifest}).items():
            archive.writestr(name, content)

    result = run(app, "restore", file, "--replace")
    assert result.exit_code == 1
    assert "later version" in result.output
