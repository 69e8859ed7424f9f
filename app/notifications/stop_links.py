"""Signed links that stop the emails to one user."""

from __future__ import annotations

from bson import ObjectId
from bson.errors import InvalidId
from itsdangerous import BadSignature, Signer

from app.services import services

SALT = "stop emails"
PATH = "/notifications/unsubscribe/"


def make_stop_link(user_id: ObjectId) -> str | None:
    """Return the link for the emails to a user; None without PUBLIC_URL."""
    public_url = services().settings.public_url
    if public_url is None:
        return None
    return f"{public_url.rstrip('/')}{PATH}{_signer().sign(str(user_id)).decode()}"


def read_stop_token(token: str) -> ObjectId | None:
    """Return the user of a link's last part; None if its signature is invalid."""
    try:
        return ObjectId(_signer().unsign(token).decode())
    except (BadSignature, InvalidId, UnicodeError):
        return None


def _signer() -> Signer:
    return Signer(services().settings.secret_key.get_secret_value(), salt=SALT)
