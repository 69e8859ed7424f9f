"""Encryption of what the server has to read again, with a key made of SECRET_KEY."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from app.services import services

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


def encrypt(text: str, purpose: str) -> str:
    """Return a text encrypted and signed, under a key of its own for each purpose."""
    return _cipher(purpose).encrypt(text.encode()).decode()


def decrypt(token: str, purpose: str) -> str | None:
    """Return the text; None if it was encrypted with another SECRET_KEY."""
    from cryptography.fernet import InvalidToken

    try:
        return _cipher(purpose).decrypt(token).decode()
    except InvalidToken:
        return None


def _cipher(purpose: str) -> Fernet:
    # Imported for the few requests that need it: the import takes longer than a request.
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    secret = services().settings.secret_key.get_secret_value().encode()
    key = HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)
    return Fernet(urlsafe_b64encode(key))
