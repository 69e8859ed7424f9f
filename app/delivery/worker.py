"""What the workers that deliver messages share: passes in the background, until stopped."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from pymongo.errors import PyMongoError

from app.database.transactions import name_error
from app.delivery.attempts import FIRST_RETRY
from app.logs import logger

STOP_SECONDS = 0.5


class Worker(ABC):
    def __init__(self, name: str) -> None:
        """`name` is that of the worker in the log."""
        self._name = name
        # Set when there may be something to do.
        self._work = threading.Event()
        self._stopping = False
        self._ended = threading.Event()

    @abstractmethod
    def run_pass(self) -> float:
        """Do what is due; return the seconds until the next pass."""

    def run(self) -> None:
        """Run passes, and wait for work between them, until stopped."""
        while not self._stopping:
            self._work.clear()
            try:
                wait = self.run_pass()
            except PyMongoError as error:
                logger.warning("%s: database unavailable: %s", self._name, name_error(error))
                wait = FIRST_RETRY.total_seconds()
            except Exception:
                # The worker must survive any error to deliver what is due next.
                logger.exception("%s: a pass failed", self._name)
                wait = FIRST_RETRY.total_seconds()
            if wait:
                self._work.wait(wait)
        self._ended.set()

    def stop(self) -> None:
        """Stop `run`, and wait a moment for its current pass."""
        self._stopping = True
        self._work.set()
        self._ended.wait(STOP_SECONDS)
