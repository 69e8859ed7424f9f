"""Who is asking: tokens in and out, the same for HTTP requests and sockets."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import jwt
from bson import ObjectId
from flask import Flask, current_app, g, request
from flask.sessions import SessionInterface
from flask_jwt_extended import create_access_token
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from app.addresses import client_network
from app.domain.contact import is_same_identity
from app.domain.errors import Forbidden, Unauthenticated

TOKEN_LIFETIME = timedelta(hours=24)
# How far the clocks of two servers may be apart, in seconds, before one refuses the other's tokens.
CLOCK_LEEWAY_SECONDS = 10
ALGORITHM = "HS256"
# Who issues the tokens, and whom they are for: a token of another service with the same key is not
# ours.
ISSUER = "paper-trading"
AUDIENCE = "paper-trading-api"
REQUIRED_CLAIMS = ("exp", "jti", "sub", "type")
# Tokens whose signature was found to be ours; a client sends the same one all day.
REMEMBERED_TOKENS = 10_000


class _NoSessions(SessionInterface):
    """No cookies are read or set: who is asking is in the token, and nothing else is kept."""

    def open_session(self, app: Flask, request: object) -> None:
        """Tell Flask that there is none."""

    def save_session(self, app: Flask, session: object, response: object) -> None:
        """Keep nothing."""


def init_app(app: Flask) -> None:
    """Find out who is asking before anything else looks at a request."""
    app.session_interface = _NoSessions()
    app.config.update(
        JWT_ACCESS_TOKEN_EXPIRES=TOKEN_LIFETIME,
        JWT_ALGORITHM=ALGORITHM,
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=AUDIENCE,
    )
    app.before_request(_identify)


def issue_token(client_id: str) -> str:
    """Return a token that says its bearer is `client_id`, for 24 hours."""
    return str(create_access_token(identity=client_id))


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a token was issued to, and until when: Unix seconds, without the leeway of clocks."""

    client_id: str
    expires_at: float


def authenticate(token: str) -> str:
    """Return whom a token was issued to; raise Unauthenticated for one that is not ours."""
    return read_token(token).client_id


def read_token(token: str) -> Bearer:
    """Return what a token says; raise Unauthenticated for one that is not ours."""
    try:
        claims = _verified_claims(token, current_app.config["JWT_SECRET_KEY"])
    except ExpiredSignatureError:
        raise token_expired() from None
    except (PyJWTError, ValueError, OverflowError):
        raise Unauthenticated("This token is not valid.", code="token_invalid") from None
    # A signature stays what it was found to be; the time does not.
    if float(claims["exp"]) + CLOCK_LEEWAY_SECONDS <= time.time():
        raise token_expired()
    if claims["type"] != "access":
        raise Unauthenticated("This token is not an access token.", code="token_invalid")
    return Bearer(str(claims["sub"]), float(claims["exp"]))


@lru_cache(REMEMBERED_TOKENS)
def _verified_claims(token: str, secret: str) -> dict[str, Any]:
    """Return what a token says; what fails is not remembered.

    The secret is the application's, and named so that another's tokens are not taken for its own.
    """
    claims: dict[str, Any] = jwt.decode(
        token,
        secret,
        algorithms=[ALGORITHM],
        leeway=CLOCK_LEEWAY_SECONDS,
        options={"require": list(REQUIRED_CLAIMS), "verify_aud": False},
    )
    names = claims.get("iss"), claims.get("aud")
    # Tokens of earlier versions name neither. They are ours all the same, and last for a day.
    if names not in ((ISSUER, AUDIENCE), (None, None)):
        raise jwt.InvalidTokenError("issued by, or for, another service")
    return claims


def token_expired() -> Unauthenticated:
    """Return the error of a token whose time is over."""
    return Unauthenticated(
        "This token has expired. Sign in again with POST /auth/login.", code="token_expired"
    )


def current_user_id() -> str:
    """Return the client_id of whoever sent this request; raise Unauthenticated for nobody."""
    if g.identity_error is not None:
        raise g.identity_error
    return str(g.client_id)


def require_own(user_id: str) -> str:
    """Return the caller's client_id; raise Forbidden unless `user_id`, from a path, means it."""
    own = current_user_id()
    if not is_same_identity(user_id, own):
        raise Forbidden(f"This belongs to another user.{_hint(user_id)}")
    return own


def _hint(user_id: str) -> str:
    """Return where a trade is found, if its id was given in place of a user_id."""
    if request.blueprint != "trades" or not ObjectId.is_valid(user_id):
        return ""
    return " If this is the id of a trade, see GET /trades/<user_id>/<trade_id>."


def rate_limit_key() -> str:
    """Return what a request is counted by: its user where the route needs one, else its address.

    On a public route a token changes nothing: each account would add to what one client may do.
    """
    return address_key() if g.client_id is None or route_is_public() else f"user:{g.client_id}"


def address_key() -> str:
    """Return what a request is counted by as one of its address."""
    return f"address:{client_network(request.remote_addr)}"


def route_is_public() -> bool:
    """Return whether the route of this request, if there is one, takes calls without a token."""
    view = current_app.view_functions.get(request.endpoint or "")
    return not getattr(view, "requires_token", False)


def _identify() -> None:
    g.client_id = None
    g.identity_error = None
    try:
        g.client_id = authenticate(bearer_token(request.headers.get("Authorization", "")))
    except Unauthenticated as error:
        g.identity_error = error


def bearer_token(header: str) -> str:
    """Return the token of an Authorization header; raise Unauthenticated where it has none."""
    scheme, _, token = header.partition(" ")
    if not header:
        raise Unauthenticated(
            "Sign in with POST /auth/login and send 'Authorization: Bearer <token>'.",
            code="token_missing",
        )
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(
            "The Authorization header must read 'Bearer <token>'.", code="token_invalid"
        )
    # Programs that add the word are often given a token that has it already.
    return re.sub(r"^(bearer\s+)+", "", token.strip(), flags=re.IGNORECASE)
