"""A separate database server that a test can kill and restart, and documents to look for."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from embedded_db.supervisor import program_command
from tests.support.server import free_port

START_SECONDS = 20


class DatabaseServer:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.port = free_port()
        self.uri = f"mongodb://127.0.0.1:{self.port}/?directConnection=true"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> DatabaseServer:
        """Start the server, and wait until its port is open."""
        config = self._folder / "empty.toml"
        config.touch()
        flags = ["--config", config, "--host", "127.0.0.1", "--port", self.port]
        flags += ["--storage-path", self._folder / "storage", "--sync-on-commit"]
        # The same program that the application starts: it ends at the latest with this one.
        command = [*program_command(), *flags]
        with (self._folder / "database.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_open():
            assert time.monotonic() < deadline, "the database did not open its port"
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """End the server as a crash would; its port is closed afterwards."""
        if self.process is not None:
            with self.process as process:
                process.kill()
        self.process = None

    def _is_open(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def write(uri: str, count: int) -> None:
    """Insert the numbers below `count`, one by one."""
    with MongoClient[dict[str, Any]](uri) as client:
        for number in range(count):
            client.kept.numbers.insert_one({"_id": number})


def read(uri: str) -> list[int]:
    """Return the inserted numbers, in order."""
    with MongoClient[dict[str, Any]](uri) as client:
        return [document["_id"] for document in client.kept.numbers.find().sort("_id", 1)]
