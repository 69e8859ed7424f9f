"""A world to measure in: a database of its own, an application on it, servers on it."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandListener

from app import create_app
from app.clock import SystemClock
from app.database.codec import TYPE_REGISTRY
from app.domain.quote import Source
from app.extensions import mongo
from app.logs import logger
from app.web.auth import issue_token
from config import DATABASE_NAME, Settings, load_settings
from embedded_db.supervisor import EmbeddedDatabase
from tests.support.market import ScriptedFeed
from tests.support.recording_files import standing_still, write_recording
from tests.support.server import ServerProcess

# Of the process that wrote the folder, not of its contents.
_NOT_COPIED = shutil.ignore_patterns("database.json", "database.lock")

Ticks = Iterable[tuple[float, str, float]]


class World:
    """A database in `data_dir`, and `app`: the application on it, in this process.

    `feed` is the market of `app`; servers have one of their own. `uri` and `db` are the
    database's, with the application's codec for money.
    """

    def __init__(self, folder: Path, copy_of: Path | None = None) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        if copy_of is not None:
            shutil.copytree(copy_of, self.data_dir, ignore=_NOT_COPIED)
        self._secret = secrets.token_hex(32)
        self._servers = 0
        self._database = EmbeddedDatabase(self.data_dir)
        self._database.start()
        self.uri = self._database.uri
        self.client: MongoClient[dict[str, Any]] = connect(self.uri)
        self.db: Database[dict[str, Any]] = self.client[DATABASE_NAME]
        self.clock = SystemClock()
        self.feed = ScriptedFeed(self.clock, Source.REPLAY)  # type: ignore[arg-type]
        logger.setLevel("ERROR")
        self.app: Flask = create_app(
            self.settings(), mongo_uri=self.uri, feed=self.feed, clock=self.clock
        )

    def settings(self, **variables: Any) -> Settings:
        """Return the settings of `app`, changed by variables as the environment would."""
        return load_settings(
            {
                "DATA_DIR": str(self.data_dir),
                "SOCKETIO_ASYNC_MODE": "threading",
                "LOG_LEVEL": "ERROR",
                "MARKET_DATA": "simulated",
                # Rows move prices as they please.
                "MAX_QUOTE_MOVE": "10",
                "SECRET_KEY": self._secret,
                "JWT_SECRET_KEY": self._secret,
                **{name: str(value) for name, value in variables.items()},
            }
        )

    @contextmanager
    def server(
        self, mode: str = "eventlet", ticks: Ticks | None = None, **environment: Any
    ) -> Iterator[ServerProcess]:
        """Run `python run.py` on this database until the block ends.

        Its market replays `ticks` of (seconds, symbol, rupees), else stands still with ^NSEI
        at 25,000. No limits, no log lines but errors, unless `environment` says otherwise.
        """
        self._servers += 1
        folder = self.folder / f"server{self._servers}"
        folder.mkdir()
        recording = write_recording(folder / "ticks.csv", ticks or standing_still())
        server = ServerProcess(
            folder,
            **{
                "MONGO_URI": self.uri,
                "SECRET_KEY": self._secret,
                "JWT_SECRET_KEY": self._secret,
                "SOCKETIO_ASYNC_MODE": mode,
                "LOG_LEVEL": "ERROR",
                "MARKET_DATA": "replay",
                "REPLAY_FILE": recording,
                # The default; ServerProcess is of the tests, which have no time.
                "MONITOR_INTERVAL_SECONDS": 10,
                **environment,
            },
        )
        try:
            yield server.start()
        finally:
            if server.process is not None:
                server.stop()

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Have `app` work with another database of the same server until the block ends."""
        used = mongo.db
        mongo.db = self.client[name]  # type: ignore[assignment]
        try:
            yield
        finally:
            mongo.db = used

    def tokens(self, user_ids: Iterable[str]) -> list[str]:
        """Return a token for each user that `app` and every server takes."""
        with self.app.app_context():
            return [issue_token(user_id) for user_id in user_ids]

    @property
    def secret(self) -> str:
        """The JWT_SECRET_KEY of `app` and every server."""
        return self._secret

    def release_database(self) -> None:
        """End the database, so that a server can have `data_dir` for its own."""
        self.client.close()
        if mongo.cx is not None:
            mongo.cx.close()
            mongo.cx = mongo.db = None
        self._database.stop()


@contextmanager
def world(copy_of: Path | None = None) -> Iterator[World]:
    """Make a world, empty or with what is in another's data folder (see crowd.py).

    Everything it started is ended, and its folder removed, afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        here = World(Path(folder), copy_of)
        try:
            yield here
        finally:
            here.release_database()


def connect(uri: str, *listeners: CommandListener) -> MongoClient[dict[str, Any]]:
    """Return a bare client that reads and writes money and times as the application does.

    `listeners` observe each of its commands.
    """
    return MongoClient(
        uri, tz_aware=True, type_registry=TYPE_REGISTRY, event_listeners=list(listeners)
    )
