"""Sessions of people: started by a sign-in, extended by refresh tokens, ended by their user."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from flask import request

from app.auth.notices import AccountChange, account_event, notify_in_background
from app.domain.device import describe_device
from app.domain.errors import NotFound, Unauthenticated
from app.events import sessions_ended
from app.logs import logger
from app.models import Session, legacy_session_id
from app.notifications.service import write_event
from app.services import application, now, services
from app.web.addresses import truncate_address
from app.web.auth import issue_token
from app.web.principal import Principal
from app.web.sessions import token_revoked

# A used refresh token gets the same successor again for this time: two tabs of a browser may
# refresh at once, and a client repeats a request whose response was lost.
REUSE_GRACE = timedelta(seconds=10)
# Of one user. A further sign-in ends the session that was not used for longest.
MAX_SESSIONS = 100


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in gives to a client; `expires_in` is of the access token, in seconds."""

    access_token: str
    refresh_token: str
    client_id: str
    expires_in: int


def start_session(user_id: str) -> Tokens:
    """Start a session on the device of this request; return its tokens."""
    time = now()
    secret = secrets.token_urlsafe(32)
    session = Session(
        id=secrets.token_hex(16),
        user_id=user_id,
        device=describe_device(request.user_agent.string),
        address=truncate_address(request.remote_addr),
        created_at=time,
        last_used_at=time,
        expires_at=_expires_at(time, time),
        refresh_digest=_digest(secret),
        used_digests=(),
        rotated_at=time,
    )
    session.save()
    announce_ended(Session.end_oldest(user_id, time, MAX_SESSIONS))
    return _tokens(session, secret)


def refresh(refresh_token: str) -> Tokens:
    """Return new tokens for a refresh token, which is used up.

    Raises Unauthenticated if it is not valid. If it was used before, its session ends: one of the
    two who used it has stolen it.
    """
    session_id, _, secret = refresh_token.partition(".")
    if not secret:
        raise _not_valid()
    session = Session.find(session_id)
    if session is None:
        raise token_revoked()
    time, digest = now(), _digest(secret)
    if not hmac.compare_digest(digest, session.refresh_digest):
        _require_recent(session, digest, time)
        return _tokens(session, _successor(secret))
    if session.expires_at <= time:
        raise Unauthenticated(
            "This session has expired. Sign in with POST /auth/login.", code="token_expired"
        )
    successor = _successor(secret)
    expires_at = _expires_at(session.created_at, time)
    if not session.rotate(_digest(successor), time, expires_at):
        # Another request with the same token was faster, or the session ended.
        return refresh(refresh_token)
    return _tokens(session, successor)


def find_sessions(user_id: str) -> list[Session]:
    """Return the user's sessions that can still be used, the last used first."""
    return [session for session in Session.find_by_user_id(user_id) if session.expires_at > now()]


def end_session(user_id: str, session_id: str) -> None:
    """End a session of the user; raise NotFound if there is none with this id."""
    if not Session.end(session_id, user_id, now()):
        raise NotFound("You have no session with this id.", code="session_not_found")
    announce_ended([session_id])


def log_out(principal: Principal) -> None:
    """End the session of the caller."""
    user_id, session_id = principal.user_id, str(principal.session_id)
    if session_id == legacy_session_id(user_id):
        Session.end_legacy(user_id, now())
    else:
        Session.end(session_id, user_id, now())
    announce_ended([session_id])


def end_all(user_id: str, *, except_id: str | None = None) -> None:
    """End all sessions of the user, but one if it is named."""
    announce_ended(Session.end_all(user_id, now(), except_id=except_id))


def announce_ended(session_ids: Sequence[str]) -> None:
    """Have this process refuse the tokens of ended sessions, and disconnect their sockets."""
    sessions_ended.send(application(), session_ids=session_ids)


def _require_recent(session: Session, digest: str, time: datetime) -> None:
    """Raise Unauthenticated unless the digest is of the token that was just replaced."""
    if digest not in session.used_digests:
        raise _not_valid()
    if digest == session.used_digests[-1] and time - session.rotated_at <= REUSE_GRACE:
        return
    if Session.end(session.id, session.user_id, time):
        announce_ended([session.id])
        logger.warning("a refresh token was reused", extra={"fields": {"user": session.user_id}})
        event = account_event(session.user_id, AccountChange.SESSION_REUSED)
        notify_in_background(write_event, event)
    raise token_revoked()


def _not_valid() -> Unauthenticated:
    return Unauthenticated("This refresh token is not valid.", code="token_invalid")


def _tokens(session: Session, secret: str) -> Tokens:
    return Tokens(
        access_token=issue_token(session.user_id, session.id),
        refresh_token=f"{session.id}.{secret}",
        client_id=session.user_id,
        expires_in=int(services().settings.access_token_lifetime.total_seconds()),
    )


def _expires_at(created_at: datetime, used_at: datetime) -> datetime:
    settings = services().settings
    return min(
        used_at + timedelta(days=settings.refresh_token_days),
        created_at + timedelta(days=settings.session_max_days),
    )


def _successor(secret: str) -> str:
    """Return the successor of a secret: always the same one, which only this server can derive."""
    key = services().settings.secret_key.get_secret_value().encode()
    made = hmac.digest(key, f"refresh token\n{secret}".encode(), "sha256")
    return urlsafe_b64encode(made).rstrip(b"=").decode()


def _digest(secret: str) -> str:
    # A plain hash: the secret has 256 bits.
    return sha256(secret.encode()).hexdigest()
