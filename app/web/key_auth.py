"""API keys of requests and sockets: their form, and how they are checked.

A key that was found is remembered for less than a second, so that a bot costs one read a second
and every process refuses a deleted key within a second.
"""

from __future__ import annotations

import re
import secrets
import threading
from datetime import timedelta
from hashlib import sha256
from math import inf
from typing import cast

from cachetools import TTLCache
from flask import Flask, current_app
from pymongo.errors import PyMongoError

from app.database.transactions import name_error, run_transaction
from app.domain.errors import Unauthenticated
from app.logs import logger
from app.models import ApiKey, key_session_id
from app.services import now
from app.web.principal import Principal, PrincipalKind, Scope
from app.web.sessions import key_deleted

EXTENSION = "api_keys"
HEADER = "X-API-Key"
# Recognizable to people and to programs that search for leaked secrets.
PREFIX = "ptk_"
KEY_BYTES = 32
KEY_FORMAT = re.compile(rf"{PREFIX}[0-9a-f]{{{2 * KEY_BYTES}}}")
REMEMBERED_SECONDS = 0.9
REMEMBERED_KEYS = 10_000
# Minimum time between two updates of a key's last use.
USE_NOTED_EVERY = timedelta(minutes=1)


class _KeyStore:
    """The keys of the database, each remembered for a moment."""

    def __init__(self) -> None:
        self._keys: TTLCache[str, ApiKey] = TTLCache(REMEMBERED_KEYS, REMEMBERED_SECONDS)
        self._lock = threading.Lock()

    def find(self, key_hash: str) -> ApiKey | None:
        with self._lock:
            known = self._keys.get(key_hash)
        if known is not None:
            return known
        key = ApiKey.find_by_hash(key_hash)
        if key is not None:
            with self._lock:
                self._keys[key_hash] = key
            _note_use(key)
        return key

    def forget(self, key_hash: str) -> None:
        with self._lock:
            self._keys.pop(key_hash, None)


def init_app(app: Flask) -> None:
    app.extensions[EXTENSION] = _KeyStore()


def generate_key() -> str:
    """Return a new key: the prefix and 256 random bits in hexadecimal digits."""
    return PREFIX + secrets.token_hex(KEY_BYTES)


def hash_key(key: str) -> str:
    """Return the hash that the database has of a key.

    A fast hash is enough: 256 random bits cannot be guessed.
    """
    return sha256(key.encode()).hexdigest()


def authenticate_key(text: str) -> Principal:
    """Return the principal of an API key; raise Unauthenticated if it is unknown or expired."""
    text = text.strip()
    key = _store().find(hash_key(text)) if KEY_FORMAT.fullmatch(text) else None
    if key is None:
        raise key_deleted()
    if key.is_expired(now()):
        raise key_expired()
    return Principal(
        user_id=key.user_id,
        kind=PrincipalKind.API_KEY,
        scopes=frozenset(Scope(scope) for scope in key.scopes),
        token_id=str(key.id),
        expires_at=key.expires_at.timestamp() if key.expires_at else inf,
        session_id=key_session_id(key.id),
    )


def key_expired() -> Unauthenticated:
    """Return the error for an expired key."""
    return Unauthenticated("This API key has expired. Create a new one.", code="api_key_expired")


def forget_key(key_hash: str) -> None:
    """Have this process refuse a deleted key at once."""
    _store().forget(key_hash)


def _note_use(key: ApiKey) -> None:
    time = now()
    if key.last_used_at is not None and time - key.last_used_at < USE_NOTED_EVERY:
        return
    try:
        run_transaction(lambda: ApiKey.note_use(key, time), user_ids=[key.user_id])
    except PyMongoError as error:
        # The request needs the key, not its last use.
        logger.warning("the last use of an API key was not stored: %s", name_error(error))


def _store() -> _KeyStore:
    return cast(_KeyStore, current_app.extensions[EXTENSION])
