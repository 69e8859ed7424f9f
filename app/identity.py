"""Who is asking: tokens in and out, the same for HTTP requests and sockets."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask, g, request
from flask_jwt_extended import create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from app.domain.errors import Forbidden, Unauthenticated

TOKEN_LIFETIME = timedelta(hours=24)


def init_app(app: Flask) -> None:
    """Find out who is asking before anything else looks at a request."""
    app.config.update(JWT_ACCESS_TOKEN_EXPIRES=TOKEN_LIFETIME, JWT_ALGORITHM="HS256")
    app.before_request(_identify)


def issue_token(client_id: str) -> str:
    """Return a token that says its bearer is `client_id`, for 24 hours."""
    return str(create_access_token(identity=client_id))


def client_id_of(token: str) -> str:
    """Return whom a token was issued to; raise Unauthenticated for one that is not ours."""
    try:
        claims = decode_token(token)
    except ExpiredSignatureError:
        raise Unauthenticated(
            "This token has expired. Sign in again with POST /auth/login.", code="token_expired"
        ) from None
    except (JWTExtendedException, PyJWTError, ValueError):
        raise Unauthenticated("This token is not valid.", code="token_invalid") from None
    if claims.get("type") != "access" or not isinstance(claims.get("sub"), str):
        raise Unauthenticated("This token is not an access token.", code="token_invalid")
    return str(claims["sub"])


def current_user_id() -> str:
    """Return the client_id of whoever sent this request; raise Unauthenticated for nobody."""
    if g.identity_error is not None:
        raise g.identity_error
    return str(g.client_id)


def require_own(user_id: str) -> None:
    """Raise Forbidden unless `user_id`, from a path, is whoever sent this request."""
    if user_id != current_user_id():
        raise Forbidden("This belongs to another user.")


def rate_limit_key() -> str:
    """Return what requests are counted by: the signed-in user, else the address."""
    return f"user:{g.client_id}" if g.client_id else f"address:{request.remote_addr}"


def _identify() -> None:
    g.client_id = None
    g.identity_error = None
    try:
        g.client_id = client_id_of(bearer_token(request.headers.get("Authorization", "")))
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
    return token.strip()
