"""The embedded database is restarted, also after temporary obstacles."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from app.database import Document
from embedded_db.supervisor import EmbeddedDatabase
from tests.support.live import eventually

SECONDS = 30


def answers(uri: str) -> bool:
    client: MongoClient[Document] = MongoClient(uri, serverSelectionTimeoutMS=200)
    with client:
        try:
            return bool(client.admin.command("ping")["ok"])
        except PyMongoError:
            return False


def test_a_folder_that_is_temporarily_unwritable_does_not_end_the_watch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = EmbeddedDatabase(tmp_path)
    watch = threading.Thread(target=database.watch)
    try:
        database.start()
        watch.start()
        log = tmp_path / "database.log"
        log.unlink()
        log.mkdir()

        os.kill(
            json.loads((tmp_path / "database.json").read_text())["database_pid"], signal.SIGKILL
        )
        eventually(lambda: "cannot be started: Is a directory" in caplog.text)
        log.rmdir()

        eventually(lambda: answers(database.uri))
    finally:
        database.stop()
        watch.join(SECONDS)
    assert not watch.is_alive()
