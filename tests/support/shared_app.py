"""One application for all tests of a process that configure nothing.

Making an application takes longer than most of these tests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask

from app import services
from app.assembly import assemble_services
from app.clock import Clock
from app.database import collection, transactions
from app.database.migrations import VERSION
from app.database.pulse import Pulse
from app.extensions import mongo
from app.market_data.feed import Feed
from app.realtime.handlers import KEY as SOCKETS_KEY
from app.web.health import PULSE_KEY, WORKERS_KEY
from app.web.living_workers import LivingWorkers
from app.web.rate_limits import KEY as COUNTS_KEY
from app.web.rate_limits import Counts
from config import Settings


class SharedApp:
    """Lends its application to one test after the other, in the state of a start.

    Flask's extensions know one application at a time, so another one ends it.
    """

    def __init__(self) -> None:
        self._app: Flask | None = None
        self._client: object = None
        self._config: dict[str, Any] = {}
        self._extensions: dict[str, Any] = {}

    def lend(self, feed: Feed, clock: Clock, data_dir: Path, make: Callable[[], Flask]) -> Flask:
        """Return the application on an empty database, by `make` if there is none."""
        if self._app is None or mongo.cx is not self._client:
            self.end()
            self._app = app = make()
            self._client = mongo.cx
            self._config, self._extensions = dict(app.config), dict(app.extensions)
            return app
        with self._app.app_context():
            settings = services.services().settings.model_copy(update={"data_dir": data_dir})
            self._restore(self._app, settings)
            # What `migrate` stores in an empty database, in one command instead of three.
            version = {"_id": "version", "number": VERSION}
            collection("schema").replace_one({"_id": "version"}, version, upsert=True)
        services.init_app(self._app, assemble_services(settings, feed, clock))
        return self._app

    def end(self) -> None:
        """End what its sockets do in the background, which needs their database."""
        if self._app is not None:
            self._extensions[SOCKETS_KEY].stop()

    def _restore(self, app: Flask, settings: Settings) -> None:
        """Undo what the previous test has changed."""
        app.config.clear()
        app.config.update(self._config)
        app.extensions.clear()
        app.extensions.update(self._extensions)
        transactions.init_app(app)
        app.extensions[PULSE_KEY] = Pulse()
        app.extensions[WORKERS_KEY] = LivingWorkers()
        app.extensions[COUNTS_KEY] = Counts(settings)
