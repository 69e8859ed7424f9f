"""The credentials that the stream's connections share, renewed as rarely as can be."""

from __future__ import annotations

import threading
from typing import Protocol

from app.clock import Clock
from app.logs import logger
from app.market_data.providers.angel_one.session import StreamCredentials
from app.market_data.providers.base import SourceRefused


class StreamSession(Protocol):
    """What the stream needs of a session with Angel One."""

    def credentials(self) -> StreamCredentials:
        """Return those of today, signing in if needed; raise SourceError."""

    def renew(self, stale: StreamCredentials) -> StreamCredentials:
        """Sign in again, once for all who were refused `stale`; raise SourceError."""


class StreamTokens:
    def __init__(self, session: StreamSession, clock: Clock, renewal_seconds: float) -> None:
        """Hand out what `session` has; renew it at most once in `renewal_seconds`."""
        self._session = session
        self._clock = clock
        self._renewal_seconds = renewal_seconds
        self._renewed_at: float | None = None
        self._lock = threading.Lock()
        # Why Angel One will not have us, once it said so.
        self.refusal: str | None = None

    def credentials(self) -> StreamCredentials:
        """Return the credentials to connect with; raise SourceError."""
        with self._lock:
            return self._ask()

    def replace(self, refused: StreamCredentials) -> StreamCredentials | None:
        """Return others than the `refused` ones; None where there were new ones just now.

        Raises SourceError.
        """
        with self._lock:
            current = self._ask()
            if current != refused:
                return current
            now = self._clock.monotonic()
            if self._renewed_at is not None and now - self._renewed_at < self._renewal_seconds:
                return None
            self._renewed_at = now
            return self._ask(refused)

    def _ask(self, refused: StreamCredentials | None = None) -> StreamCredentials:
        if self.refusal is not None:
            raise SourceRefused(self.refusal)
        try:
            return self._session.renew(refused) if refused else self._session.credentials()
        except SourceRefused as error:
            self.refusal = str(error)
            logger.error("Angel One's stream is off until the next start: %s", error)
            raise
