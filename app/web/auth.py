"""Who is calling: tokens are issued and checked here, for HTTP requests and for sockets.

API keys are checked in `app.web.key_auth`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import cast

import jwt
from bson import ObjectId
from flask import Flask, current_app, g, request
from flask_jwt_extended import create_access_token
from jwt.exceptions import ExpiredSignatureError, PyJWTError
from pymongo.errors import PyMongoError

from app.domain.contact import is_same_identity
from app.domain.errors import Forbidden, Unauthenticated
from app.extensions import jwt as jwt_manager
from app.models import legacy_session_id
from app.web import key_auth
from app.web.principal import READ_METHODS, Principal, PrincipalKind, Scope
from app.web.sessions import require_live
from config import Settings

KEY = "token_verifier"
# Maximum difference between the clocks of two servers that accept each other's tokens.
CLOCK_LEEWAY_SECONDS = 10
ALGORITHM = "HS256"
# A token of another service with the same key is refused.
ISSUER = "paper-trading"
AUDIENCE = "paper-trading-api"
REQUIRED_CLAIMS = ("exp", "jti", "sub", "type")
# Verified tokens that are remembered: a client sends the same one all day.
REMEMBERED_TOKENS = 10_000


def init_app(app: Flask, settings: Settings) -> None:
    """Authenticate each request before anything else looks at it."""
    app.config.update(
        JWT_ACCESS_TOKEN_EXPIRES=settings.access_token_lifetime,
        JWT_ALGORITHM=ALGORITHM,
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=AUDIENCE,
    )
    jwt_manager.init_app(app)
    # A signature stays valid, so it is checked once. Errors are not remembered.
    verify = partial(_verify, app.config["JWT_SECRET_KEY"])
    app.extensions[KEY] = lru_cache(REMEMBERED_TOKENS)(verify)
    key_auth.init_app(app)
    app.before_request(_authenticate_request)


def issue_token(client_id: str, session_id: str | None = None) -> str:
    """Return an access token of a session; without one, a token as earlier versions issued it."""
    claims = {"sid": session_id} if session_id else {}
    return str(create_access_token(identity=client_id, additional_claims=claims))


def read_token(token: str) -> Principal:
    """Return the principal of a token, whose session may have ended.

    Raises Unauthenticated if the token is invalid or has expired.
    """
    verify = cast(Callable[[str], Principal], current_app.extensions[KEY])
    try:
        principal = verify(token)
    except ExpiredSignatureError:
        raise token_expired() from None
    except (PyJWTError, ValueError, OverflowError):
        raise Unauthenticated("This token is not valid.", code="token_invalid") from None
    if principal.expires_at + CLOCK_LEEWAY_SECONDS <= time.time():
        raise token_expired()
    return principal


def _verify(secret: str, token: str) -> Principal:
    claims = jwt.decode(
        token,
        secret,
        algorithms=[ALGORITHM],
        leeway=CLOCK_LEEWAY_SECONDS,
        options={"require": list(REQUIRED_CLAIMS), "verify_aud": False},
    )
    names = claims.get("iss"), claims.get("aud")
    # Tokens of earlier versions name neither. They stay valid until they expire.
    if names not in ((ISSUER, AUDIENCE), (None, None)):
        raise jwt.InvalidTokenError("issued by, or for, another service")
    if claims["type"] != "access":
        raise Unauthenticated("This token is not an access token.", code="token_invalid")
    return Principal(
        user_id=str(claims["sub"]),
        kind=PrincipalKind.USER,
        scopes=frozenset(Scope),
        token_id=str(claims["jti"]),
        expires_at=float(claims["exp"]),
        session_id=str(claims.get("sid") or legacy_session_id(claims["sub"])),
    )


def token_expired() -> Unauthenticated:
    """Return the error for an expired token."""
    return Unauthenticated(
        "This token has expired. Get a new one with POST /auth/refresh.", code="token_expired"
    )


def current_principal() -> Principal:
    """Return the caller of this request; raise Unauthenticated if there is no valid token."""
    if g.principal is None:
        raise g.authentication_error
    return cast(Principal, g.principal)


def require_own(user_id: str) -> str:
    """Return the caller's client_id; raise Forbidden if `user_id`, from a path, is another's."""
    own = current_principal().user_id
    if not is_same_identity(user_id, own):
        raise Forbidden(f"This belongs to another user.{_hint(user_id)}")
    return own


def _hint(user_id: str) -> str:
    """Return a hint if the id of a trade was given in place of a user_id."""
    if request.blueprint != "trades" or not ObjectId.is_valid(user_id):
        return ""
    return " If this is the id of a trade, see GET /trades/<user_id>/<trade_id>."


def _authenticate_request() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    g.is_public = not getattr(view, "requires_token", False)
    # A POST that writes nothing is a read for limits and for a full disk.
    g.is_read = request.method in READ_METHODS or getattr(view, "is_read", False)
    g.principal = None
    try:
        g.principal = _read_credential()
    except Unauthenticated as error:
        g.authentication_error = error
    except PyMongoError:
        # A public route works without the database that has the keys.
        if not g.is_public:
            raise


def _read_credential() -> Principal:
    key = request.headers.get(key_auth.HEADER)
    if key is not None:
        return key_auth.authenticate_key(key)
    principal = read_token(bearer_token(request.headers.get("Authorization", "")))
    if not g.is_public:
        # A public route needs no database for this.
        require_live(principal)
    return principal


def bearer_token(header: str) -> str:
    """Return the token of an Authorization header; raise Unauthenticated if it has none."""
    scheme, _, token = header.partition(" ")
    if not header:
        raise Unauthenticated(
            "Sign in with POST /auth/login and send 'Authorization: Bearer <token>', or send an "
            "API key as X-API-Key.",
            code="token_missing",
        )
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(
            "The Authorization header must read 'Bearer <token>'.", code="token_invalid"
        )
    if token.strip().startswith(key_auth.PREFIX):
        raise Unauthenticated(
            "This is an API key: send it in the header X-API-Key.", code="token_invalid"
        )
    # Clients often add the scheme to a token that already begins with it.
    return re.sub(r"^(bearer\s+)+", "", token.strip(), flags=re.IGNORECASE)
