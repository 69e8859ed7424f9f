"""The credentials that the stream's connections share, renewed as rarely as possible."""

from __future__ import annotations

import threading
from typing import Protocol

from app.clock import Clock
from app.logs import logger
from app.market_data.providers.angel_one.session import StreamCredentials
from app.market_data.providers.base import SourceRefused


class StreamSession(Protocol):
    """The part of a session with Angel One that the stream needs."""

    def credentials(self) -> StreamCredentials:
        """Return today's credentials, signing in if needed; raise SourceError."""

    def renew(self, stale: StreamCredentials) -> StreamCredentials:
        """Sign in again, once for all callers with `stale` ones; raise SourceError."""


class StreamTokens:
    def __init__(self, session: StreamSession, clock: Clock, renewal_seconds: float) -> None:
        """Return the credentials of `session`; renew them at most once in `renewal_seconds`."""
        self._session = session
        self._clock = clock
        self._renewal_seconds = renewal_seconds
        self._renewed_at: float | None = None
        self._lock = threading.Lock()
        # Why Angel One refused our credentials, once it has.
        self.refusal: str | None = None

    def credentials(self) -> StreamCredentials:
        """Return the credentials to connect with; raise SourceError."""
        with self._lock:
            return self._get()

    def replace(self, refused: StreamCredentials) -> StreamCredentials | None:
        """Return credentials other than the `refused` ones; None if they were just renewed.

        Raises SourceError.
        """
        with self._lock:
            current = self._get()
            if current != refused:
                return current
            now = self._clock.monotonic()
            if self._renewed_at is not None and now - self._renewed_at < self._renewal_seconds:
                return None
            self._renewed_at = now
            return self._get(refused)

    def _get(self, refused: StreamCredentials | None = None) -> StreamCredentials:
        if self.refusal is not None:
            raise SourceRefused(self.refusal)
        try:
            return self._session.renew(refused) if refused else self._session.credentials()
        except SourceRefused as error:
            self.refusal = str(error)
            logger.error("Angel One's stream is off until the next start: %s", error)
            raise
