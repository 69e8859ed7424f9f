"""The web process: gunicorn starts, watches and replaces it, and our own transport serves.

Loaded by gunicorn's main process, before the standard library is made cooperative, so it imports
the application inside functions.
"""

from __future__ import annotations

import gc
import os
from types import FrameType
from typing import Any

import gevent
from gevent.event import Event
from gunicorn.workers.ggevent import GeventWorker

from app.configuration.environment import read_environment

# Seconds between two signs of life. gunicorn ends a worker that gives none for its `timeout`.
HEARTBEAT_SECONDS = 1.0


# The package has no types, so its class is Any to mypy.
class WebWorker(GeventWorker):  # type: ignore[misc]
    """Serves one of gunicorn's addresses: that of its slot.

    A client of Socket.IO has to stay with one process, so no two processes share an address.
    """

    slot = 0

    def init_process(self) -> None:
        """Make this process a web process, and serve until gunicorn ends it."""
        self._ending = Event()
        # The ports are the only difference between the web processes of one gunicorn.
        os.environ["PORT"] = str(self.sockets[self.slot].getsockname()[1])
        if first := read_environment().get("METRICS_PORT", "").strip():
            os.environ["METRICS_PORT"] = str(int(first) + self.slot)
        super().init_process()

    def run(self) -> None:
        """Serve until SIGTERM; then let the requests under way finish."""
        from app import database
        from app.server import (
            announce_web_process,
            serve,
            serve_metrics,
            start_following,
        )

        for number, listener in enumerate(self.sockets):
            if number != self.slot:
                # gunicorn's main process still has it, for the worker of its slot.
                listener.close()
        announce_web_process(self.wsgi)
        following = start_following(self.wsgi)
        stop = serve(self.wsgi, self.sockets[self.slot], on_failure=self._end)
        stop_metrics = serve_metrics(self.wsgi)
        # As in the one-process server: objects of the start stay for good.
        gc.collect()
        gc.freeze()
        heartbeat = gevent.spawn(self._beat)
        self._ending.wait()
        stop()
        stop_metrics()
        following.stop()
        heartbeat.kill()
        database.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> Any:
        """Handle SIGTERM."""
        super().handle_exit(sig, frame)
        # A signal handler must not switch greenlets.
        gevent.spawn(self._ending.set)

    def _end(self) -> None:
        self.alive = False
        self._ending.set()

    def _beat(self) -> None:
        while True:
            self.notify()
            gevent.sleep(HEARTBEAT_SECONDS)
