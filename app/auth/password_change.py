"""Changing a password, and replacing a forgotten one by a code that is sent by email."""

from __future__ import annotations

from app.auth.account import require_password
from app.auth.codes import check_code, send_code
from app.auth.notices import AccountChange, account_event, notify_in_background
from app.auth.passwords import hash_password, is_password
from app.auth.rules import password_fault
from app.auth.sessions import announce_ended
from app.database.transactions import run_transaction
from app.domain.errors import Conflict, InvalidFields
from app.events import publish_events, record_events
from app.models import Code, CodePurpose, Notification, Session, User
from app.services import now, services
from app.web.principal import Principal


def change_password(principal: Principal, current: str, new: str) -> None:
    """Replace the caller's password, and end their other sessions.

    Raises Forbidden if `current` is wrong, InvalidFields if `new` is not good enough.
    """
    user = require_password(principal.user_id, current)
    _require_good(user, new)
    if is_password(new, user.password_hash):
        raise InvalidFields({"new_password": "must differ from the current one"})
    _replace(user, new, AccountChange.PASSWORD, kept_session=principal.session_id)


def request_reset(email: str) -> None:
    """Send a code to the email of an account, in the background, if there is such an account.

    Raises Conflict if the server sends no email.
    """
    if not services().settings.sends_email:
        raise Conflict(
            "This server is not set up to send email, so it cannot send a code.",
            code="channel_not_configured",
        )
    notify_in_background(_send_reset, email)


def reset_password(email: str, digits: str, new: str) -> None:
    """Replace the password of an account with a code; end its sessions.

    Raises Conflict for a wrong, old or used up code, and likewise without such an account.
    """
    user = User.find_by_name(email)
    try:
        if user is None:
            raise Conflict("There is no such account.")
        check_code(user, "email", digits, CodePurpose.RESET_PASSWORD)
    except Conflict:
        raise Conflict("This code is not valid. Request a new one.", code="code_wrong") from None
    _require_good(user, new)
    _replace(user, new, AccountChange.PASSWORD_RESET)


def _send_reset(email: str) -> None:
    user = User.find_by_name(email)
    if user is not None:
        send_code(user, "email", CodePurpose.RESET_PASSWORD)


def _require_good(user: User, password: str) -> None:
    names = (user.email, user.name, user.phone, user.phone[-10:], user.client_id)
    if services().settings.strict_accounts and (fault := password_fault(password, names)):
        raise InvalidFields({"new_password": fault})


def _replace(
    user: User, password: str, change: AccountChange, *, kept_session: str | None = None
) -> None:
    password_hash = hash_password(password)
    fields = {"password_hash": password_hash}
    if change is AccountChange.PASSWORD_RESET:
        # Who has the code reads the mail of this address.
        fields["confirmed_email"] = user.email

    def write() -> tuple[list[str], list[Notification]]:
        User.set_fields(user.client_id, fields)
        Code.delete(user.client_id, CodePurpose.RESET_PASSWORD.name_on("email"))
        ended = Session.end_all(user.client_id, now(), except_id=kept_session)
        return ended, record_events([account_event(user.client_id, change)], now())

    ended, events = run_transaction(
        write,
        already_committed=lambda written: Notification.are_written(written[1]),
        user_ids=[user.client_id],
    )
    announce_ended(ended)
    publish_events(events)
