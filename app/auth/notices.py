"""Notices to the owner of an account about what someone else tried."""

from __future__ import annotations

from flask import Flask, current_app
from pymongo.errors import PyMongoError

from app.concurrency import spawn
from app.database.transactions import run_transaction
from app.domain.errors import Unauthenticated
from app.events import publish_events, record_events
from app.logs import logger
from app.models import EventDraft, Notification, Quota, User
from app.services import now

EVENT_TYPE = "registration_attempted"
# A day: more would let anyone fill the owner's mailbox.
MAX_NOTICES = 1


def notify_owner(email: str) -> None:
    """Notify the owner of a registered address, in the background, that it was registered again.

    The answer to the registration must not take longer for it.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    spawn(_notify, app, email)


def _notify(app: Flask, email: str) -> None:
    with app.app_context():
        try:
            owner = User.find_by_name(email)
            # What an unconfirmed owner is not sent does not use up what a confirmed one is.
            if owner and Quota.take(Quota.key(_kind(owner), now(), owner.email), MAX_NOTICES):
                _write(owner.client_id)
        except (PyMongoError, Unauthenticated) as error:
            logger.warning("an owner was not notified: %s", type(error).__name__)


def _kind(owner: User) -> str:
    return "owner-notice" if owner.is_confirmed("email") else "unconfirmed-owner-notice"


def _write(user_id: str) -> None:
    draft = EventDraft(
        user_id=user_id,
        type=EVENT_TYPE,
        message="Someone tried to register a new account with your email address. You have an"
        " account already: sign in with it. If it was not you, nothing has changed.",
        data={"user_id": user_id},
    )

    def write() -> list[Notification]:
        return record_events([draft], now())

    publish_events(
        run_transaction(write, already_committed=Notification.are_written, user_ids=[user_id])
    )
