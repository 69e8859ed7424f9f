"""Whether the session of a caller has ended: checked for each request, with few reads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import cast

import pymongo
from cachetools import LRUCache
from flask import Flask, current_app, request
from pymongo.errors import PyMongoError

from app.database.transactions import name_error
from app.domain.errors import Unauthenticated
from app.events import sessions_ended
from app.logs import logger
from app.models import KEY_PREFIX, UNSTORED_PREFIXES, Session
from app.services import now
from app.web.addresses import truncate_address
from app.web.principal import Principal

KEY = "session_checks"
# A session that another process ended is refused here after this time: within a second.
FRESH_SECONDS = 0.8
# Sessions that are remembered for that time.
MAX_REMEMBERED = 10_000
# Minimum time between two notes of a session's last use.
USE_INTERVAL = timedelta(minutes=1)
# A request does not wait longer to note the use.
NOTE_SECONDS = 1.0


class SessionChecks:
    """Which sessions have ended, read from the database at most once in FRESH_SECONDS each."""

    def __init__(self) -> None:
        # By session id: when it was read, by time.monotonic, and whether it has ended.
        self._read: LRUCache[str, tuple[float, bool]] = LRUCache(MAX_REMEMBERED)
        self._lock = threading.Lock()

    def require_live(self, principal: Principal) -> None:
        """Raise Unauthenticated if the session of a principal has ended."""
        if principal.session_id is None:
            return
        started = time.monotonic()
        with self._lock:
            read_at, has_ended = self._read.get(principal.session_id, (-FRESH_SECONDS, False))
        if started - read_at >= FRESH_SECONDS:
            has_ended = _has_ended(principal.session_id, principal.user_id)
            with self._lock:
                self._read[principal.session_id] = started, has_ended
        if has_ended:
            raise session_ended(principal.session_id)

    def forget(self, _sender: object, *, session_ids: Iterable[str]) -> None:
        """Read these sessions again before their next request."""
        with self._lock:
            for session_id in session_ids:
                self._read.pop(session_id, None)


def init_app(app: Flask) -> None:
    """Give the application its checks."""
    app.extensions[KEY] = checks = SessionChecks()
    sessions_ended.connect(checks.forget, sender=app)


def require_live(principal: Principal) -> None:
    """Raise Unauthenticated if the session of a principal has ended."""
    cast(SessionChecks, current_app.extensions[KEY]).require_live(principal)


def forget_session(session_id: str) -> None:
    """Read a session that another process ended again before its next request."""
    checks = cast(SessionChecks, current_app.extensions[KEY])
    checks.forget(current_app, session_ids=[session_id])


def session_ended(session_id: str) -> Unauthenticated:
    """Return the error for a token, or an API key, whose session has ended."""
    return key_deleted() if session_id.startswith(KEY_PREFIX) else token_revoked()


def key_deleted() -> Unauthenticated:
    """Return the error for an API key that does not exist, or not any more."""
    return Unauthenticated(
        "This API key is not valid. It may have been deleted.", code="api_key_invalid"
    )


def token_revoked() -> Unauthenticated:
    """Return the error for a token whose session has ended."""
    return Unauthenticated(
        "The session of this token has ended. Sign in with POST /auth/login.", code="token_revoked"
    )


def _has_ended(session_id: str, user_id: str) -> bool:
    if session_id.startswith(UNSTORED_PREFIXES):
        return Session.has_ended(session_id)
    last_use = Session.last_use(session_id)
    if last_use is None:
        return True
    if now() - last_use >= USE_INTERVAL:
        address = truncate_address(request.remote_addr)
        try:
            with pymongo.timeout(NOTE_SECONDS):
                Session.note_use(session_id, user_id, now(), address)
        except PyMongoError as error:
            # A request that only reads succeeds although nothing can be written.
            logger.warning("the use of a session was not noted: %s", name_error(error))
    return False
