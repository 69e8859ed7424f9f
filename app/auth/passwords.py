"""Passwords: hashed in one normal form, at the cost that the settings name."""

from __future__ import annotations

import unicodedata
from functools import cache

from werkzeug.security import check_password_hash, generate_password_hash

from app.concurrency import run_hashing
from app.services import services


def normalize_password(password: str) -> str:
    """Return the password in NFKC: keyboards write the same letter in different ways."""
    return unicodedata.normalize("NFKC", password)


def hash_password(password: str) -> str:
    """Return a hash to store; raise ServerBusy if too many are computed at once."""
    return run_hashing(generate_password_hash, normalize_password(password), _method())


def is_password(password: str, password_hash: str | None) -> bool:
    """Return whether a password is the one that was hashed; an unknown user has no hash.

    That costs as many hashes, so that the time does not say whether the user exists.
    """
    stored = password_hash or _dummy_hash(_method())
    # Hashes of earlier versions are of the password as it was typed.
    forms = dict.fromkeys((normalize_password(password), password))
    found = any(run_hashing(check_password_hash, stored, each) for each in forms)
    return found and password_hash is not None


def is_outdated(password: str, password_hash: str) -> bool:
    """Return whether a hash that fits should be replaced by one of today's form and cost."""
    return not password_hash.startswith(f"{_method()}$") or (
        normalize_password(password) != password
        and not run_hashing(check_password_hash, password_hash, normalize_password(password))
    )


def _method() -> str:
    return services().settings.password_hash


@cache
def _dummy_hash(method: str) -> str:
    return run_hashing(generate_password_hash, "no user's password", method)
