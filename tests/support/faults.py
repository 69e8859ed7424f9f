"""A database server that fails the commands a test chooses, as a MongoDB server can."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from app.database import Document
from embedded_db.supervisor import HOST, program_command
from tests.support.server import free_port

# The application's clients give this name, the clients of tests do not.
APP_NAME = "paper-trading"
POINT = "failCommand"


class FaultyDatabase:
    """The embedded database with MongoDB's test command `configureFailPoint`.

    It is the program that servers run, with its corrections of SecantusDB. `flags` are further
    options of it; `user` and `options` become part of its URI.
    """

    def __init__(
        self,
        folder: Path,
        *flags: object,
        user: str = "",
        options: str = "serverMonitoringMode=poll",
    ) -> None:
        self.port = port = free_port()
        command = [*program_command(), "--host", HOST, "--port", port, *flags]
        command += ["--storage-path", folder / "storage", "--enable-test-commands"]
        self.uri = f"mongodb://{user}{HOST}:{port}/?replicaSet=secantus&{options}"
        with (folder / "database.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command], stdout=log, stderr=log
            )
        self._client: MongoClient[Document] = MongoClient(self.uri, timeoutMS=20_000)
        self._client.admin.command("ping")

    def stop(self) -> None:
        """End the server at once. With `--sync-on-commit` every commit is in its folder."""
        self._client.close()
        with self._process as process:
            process.kill()

    def add_user(self, name: str, password: str) -> None:
        """Add a user who may do anything."""
        self._client.admin.command("createUser", name, pwd=password, roles=["root"])

    def await_primary(self) -> None:
        """Wait until there is a primary."""
        while not self._client.admin.command("hello")["isWritablePrimary"]:
            time.sleep(0.05)

    @contextmanager
    def failing(
        self, *commands: str, skip: int = 0, times: int | None = None, **fault: Any
    ) -> Iterator[None]:
        """Fail these commands of the application: `times` of them after `skip`, or all.

        `fault` has the fields of MongoDB's failCommand, as `errorCode`.
        """
        self._configure({"skip": skip, "times": times} if times else "alwaysOn", commands, fault)
        try:
            yield
        finally:
            self._configure("off", commands, {})

    def step_down(self, seconds: int) -> None:
        """Be no primary for some seconds, as during an election."""
        self._client.admin.command({"replSetStepDown": seconds, "force": True})

    def _configure(self, mode: object, commands: tuple[str, ...], fault: Document) -> None:
        data = {"failCommands": list(commands), "appName": APP_NAME, **fault}
        self._client.admin.command({"configureFailPoint": POINT, "mode": mode, "data": data})


@contextmanager
def before_commands(work: Callable[[Document], object]) -> Iterator[None]:
    """Call `work` with each command of this process before it is sent; `work` may raise."""

    def watch(record: logging.LogRecord) -> bool:
        event = json.loads(record.getMessage())
        if event["message"] == "Command started":
            work(json.loads(event["command"]))
        return False

    # PyMongo logs a command in the thread that sends it. A filter, unlike a handler, takes no lock.
    log = logging.getLogger("pymongo.command")
    level = log.level
    log.addFilter(watch)
    log.setLevel(logging.DEBUG)
    try:
        with pytest.MonkeyPatch.context() as environment:
            # PyMongo cuts longer commands.
            environment.setenv("MONGOB_LOG_MAX_DOCUMENT_LENGTH", str(10**8))
            yield
    finally:
        log.setLevel(level)
        log.removeFilter(watch)


@contextmanager
def before_command(name: str, collection: str, work: Callable[[], object]) -> Iterator[None]:
    """Call `work` once, before the first such command of this process is sent."""
    waiting = [work]

    def call(command: Document) -> None:
        if command.get(name) == collection and waiting:
            waiting.pop()()

    with before_commands(call):
        yield
        assert not waiting, f"there was no {name} of {collection}"


@contextmanager
def recording_commands() -> Iterator[list[Document]]:
    """Record the commands that this thread sends, one document each.

    Threads of the background look for ended sessions, for example, at any moment.
    """
    commands: list[Document] = []
    recorded = threading.get_ident()

    def record(command: Document) -> None:
        if threading.get_ident() == recorded:
            commands.append(command)

    with before_commands(record):
        yield commands
