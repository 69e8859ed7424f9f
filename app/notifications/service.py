"""Sending, listing and reading notifications."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from operator import attrgetter

from app.database import object_id
from app.database.transactions import run_transaction
from app.domain.errors import AccountGone, NotFound
from app.events import publish_events, record_events
from app.models import EventDraft, Inbox, Notification, Preferences, User
from app.models.paging import read_page
from app.notifications.stop_links import read_stop_token
from app.services import now

# Notifications that one transaction marks as read: few enough to end well within its timeout.
READ_BATCH = 500


def send(user_id: str, event: str, message: str) -> None:
    """Write a custom event of the user, which is delivered like any other."""
    write_event(EventDraft(user_id=user_id, type=event, message=message, data={"message": message}))


def write_event(draft: EventDraft) -> None:
    """Write one event in its own transaction, and publish it."""

    def write() -> list[Notification]:
        return record_events([draft], now())

    publish_events(
        run_transaction(write, already_committed=Notification.are_written, user_ids=[draft.user_id])
    )


def get_preferences(user_id: str) -> Preferences:
    """Return the user's preferences; raise AccountGone if the user is gone."""
    inbox = Inbox.find(user_id)
    if inbox is None:
        raise AccountGone
    return inbox.preferences


def replace_preferences(user_id: str, preferences: Preferences) -> None:
    """Replace the user's preferences; they apply to everything that is not sent yet.

    Raises AccountGone if the user is gone.
    """
    saved = run_transaction(
        lambda: Inbox.save_preferences(user_id, preferences), user_ids=[user_id]
    )
    if not saved:
        raise AccountGone


def stop_emails(token: str) -> str:
    """Switch off the emails to the user of a link; return a sentence that confirms it.

    Raises NotFound if this server did not send the link, or the user is gone.
    """
    user_id = read_stop_token(token)
    user = User.find_by_id(user_id) if user_id else None
    if user is None:
        raise NotFound("This server did not send this link.", code="link_unknown")
    preferences = get_preferences(user.client_id)
    replace_preferences(user.client_id, replace(preferences, email=False))
    return "You will get no more emails. PUT /notifications/preferences turns them on again."


def list_notifications(
    user_id: str, *, unread: bool | None = None, cursor: int | None = None, limit: int
) -> tuple[list[Notification], int, str | None]:
    """Return a page, newest first, the number of all unread ones, and the next cursor."""
    inbox = Inbox.find(user_id)
    if inbox is None:
        return [], 0, None
    page, next_cursor = read_page(
        partial(Notification.find_by_user_id, user_id, unread=unread),
        attrgetter("seq"),
        cursor=cursor,
        newest=inbox.event_seq,
        limit=limit,
    )
    return page, inbox.unread_count, next_cursor


def mark_read(user_id: str, notification_id: str) -> None:
    """Mark as read; raise NotFound for an unknown notification or another user's."""
    id = object_id(notification_id)

    def write() -> bool | None:
        was_unread = Notification.mark_read(id, user_id) if id else None
        if was_unread:
            Inbox.count_read(user_id)
        return was_unread

    if run_transaction(write, user_ids=[user_id]) is None:
        raise NotFound("You have no notification with this id.", code="notification_not_found")


def mark_all_read(user_id: str, up_to: int | None) -> tuple[int, int]:
    """Mark all notifications with a seq up to `up_to` as read, None for all there are now.

    Returns how many were unread, and how many still are. Raises AccountGone.
    """
    inbox = Inbox.find(user_id)
    if inbox is None:
        raise AccountGone
    last = inbox.event_seq if up_to is None else min(up_to, inbox.event_seq)

    def write() -> int:
        unread = (Inbox.find(user_id) or inbox).unread_count
        # No more than there are: finding them ends with the last.
        limit = min(READ_BATCH, unread)
        count = Notification.mark_all_read(user_id, last, limit) if limit > 0 else 0
        if count:
            Inbox.count_read(user_id, count)
        return count

    total = 0
    while count := run_transaction(write, user_ids=[user_id]):
        total += count
    return total, (Inbox.find(user_id) or inbox).unread_count
