"""Creating, listing and deleting API keys."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from app.database import object_id
from app.database.transactions import run_transaction
from app.domain.errors import Conflict, InvalidRequest, NotFound
from app.events import publish_events, record_events, sessions_ended
from app.models import ApiKey, EventDraft, Notification, Session
from app.services import application, now
from app.web.key_auth import forget_key, generate_key, hash_key
from app.web.principal import Scope

MAX_KEYS = 20


def create_key(
    user_id: str, name: str, scopes: Collection[Scope], expires_at: datetime | None
) -> tuple[ApiKey, str]:
    """Create a key, and notify the user; return it and its text, which is stored nowhere.

    Raises InvalidRequest if it would be expired already, Conflict if there are too many,
    AccountGone.
    """
    if expires_at is not None and expires_at <= now():
        raise InvalidRequest(
            "The key would have expired already.",
            code="invalid_expiry",
            details={"expires_at": "must be in the future"},
        )
    text = generate_key()

    def write() -> tuple[ApiKey, list[Notification]]:
        _refuse_too_many(user_id)
        key = ApiKey.create(
            user_id=user_id,
            name=name,
            scopes=[scope for scope in Scope if scope in scopes],
            key_hash=hash_key(text),
            last4=text[-4:],
            created_at=now(),
            expires_at=expires_at,
        )
        return key, record_events([_describe_creation(key)], key.created_at)

    key, events = run_transaction(
        write,
        already_committed=lambda written: ApiKey.find_by_hash(written[0].key_hash) is not None,
        user_ids=[user_id],
    )
    publish_events(events)
    return key, text


def list_keys(user_id: str) -> list[ApiKey]:
    """Return the user's keys, newest first, those that expired lately included."""
    return ApiKey.find_by_user_id(user_id)


def delete_key(user_id: str, key_id: str) -> None:
    """Delete a key, which is refused from then on, and disconnect its sockets.

    Raises NotFound for an unknown one.
    """
    id = object_id(key_id)

    def write() -> tuple[ApiKey, str]:
        key = ApiKey.delete(id, user_id) if id else None
        if key is None:
            raise NotFound("You have no API key with this id.", code="api_key_not_found")
        return key, Session.end_key(key.id, user_id, now())

    key, session_id = run_transaction(
        write,
        already_committed=lambda deleted: ApiKey.find_by_hash(deleted[0].key_hash) is None,
        user_ids=[user_id],
    )
    forget_key(key.key_hash)
    sessions_ended.send(application(), session_ids=[session_id])


def _refuse_too_many(user_id: str) -> None:
    # The transaction writes an event of the user, so two concurrent ones cannot both pass.
    keys = [key for key in ApiKey.find_by_user_id(user_id) if not key.is_expired(now())]
    if len(keys) >= MAX_KEYS:
        raise Conflict(
            f"You have {MAX_KEYS} API keys, which is the maximum. Delete one first.",
            code="too_many_api_keys",
            details={"limit": MAX_KEYS},
        )


def _describe_creation(key: ApiKey) -> EventDraft:
    scopes = " and ".join(key.scopes)
    return EventDraft(
        user_id=key.user_id,
        type="api_key_created",
        message=f"A new API key may {scopes} in your account. Its last characters are "
        f"{key.last4}. If you did not create it, delete it and change your password.",
        data={
            "key_id": str(key.id),
            "scopes": list(key.scopes),
            "last4": key.last4,
            "expires_at": key.expires_at,
        },
    )
