"""Passwords: hashed in a normal form, by the method of the settings."""

from __future__ import annotations

import unicodedata
from functools import cache

from werkzeug.security import check_password_hash, generate_password_hash

from app.services import services


def normalize_password(password: str) -> str:
    """Return the password in NFKC: keyboards encode the same letter in different ways."""
    return unicodedata.normalize("NFKC", password)


def hash_password(password: str) -> str:
    """Return a hash to store; raise ServerBusy if too many are being computed."""
    return services().hashing.run(generate_password_hash, normalize_password(password), _method())


def is_password(password: str, password_hash: str | None) -> bool:
    """Return whether a password matches a hash; an unknown user has no hash.

    Without a hash it takes as long, so that the time does not reveal whether the user exists.
    """
    stored = password_hash or _dummy_hash(_method())
    # Earlier versions hashed the password as it was typed.
    forms = dict.fromkeys((normalize_password(password), password))
    matches = any(services().hashing.run(check_password_hash, stored, form) for form in forms)
    return matches and password_hash is not None


def is_outdated(password: str, password_hash: str) -> bool:
    """Return whether a matching hash is of an older method or form and should be replaced."""
    return not password_hash.startswith(f"{_method()}$") or (
        normalize_password(password) != password
        and not services().hashing.run(
            check_password_hash, password_hash, normalize_password(password)
        )
    )


def _method() -> str:
    return services().settings.password_hash


@cache
def _dummy_hash(method: str) -> str:
    return services().hashing.run(generate_password_hash, "not the password of any user", method)
