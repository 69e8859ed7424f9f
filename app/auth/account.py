"""The account of a user: what they see of it, and how they change it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pymongo.errors import DuplicateKeyError

from app.auth.attempts import SignInAttempt
from app.auth.codes import check_code, send_code
from app.auth.notices import AccountChange, account_event, notify_in_background, write_registration
from app.auth.passwords import is_password
from app.auth.verification import find_user
from app.database.transactions import run_transaction
from app.domain.contact import is_mobile_in
from app.domain.errors import Conflict, Forbidden, InvalidFields, InvalidRequest
from app.events import publish_events, record_events
from app.models import Code, CodePurpose, Identity, Notification, User
from app.services import now, services


@dataclass(frozen=True, slots=True)
class Changes:
    """What to change of an account; None stays. `password` is the current one."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    password: str | None = None


def require_password(user_id: str, password: str) -> User:
    """Return the user if this is their password; raise Forbidden, or RateLimited after failures."""
    user = find_user(user_id)
    attempt = SignInAttempt(user.client_id, user)
    attempt.begin()
    if not is_password(password, user.password_hash):
        attempt.fail("a password was not confirmed")
        raise Forbidden("This is not your password.", code="password_wrong")
    attempt.succeed("a password was confirmed")
    return user


def update_account(user_id: str, changes: Changes) -> User:
    """Change the name and the phone; send a code to a new email address. Return the user.

    Raises InvalidRequest, Forbidden for a wrong password, and the errors of sending a code.
    """
    user = find_user(user_id)
    email = changes.email if changes.email != user.email else None
    phone = changes.phone if changes.phone != user.phone else None
    if email or phone:
        if changes.password is None:
            raise InvalidRequest(
                "Send your password as well, to change the email or the phone.",
                code="password_required",
            )
        require_password(user_id, changes.password)
    if phone:
        _require_mobile(phone)
    fields = {name: value for name, value in (("name", changes.name), ("phone", phone)) if value}
    if fields:
        _write(user, fields, AccountChange.PHONE if phone else None)
    if email:
        _request_email(user, email)
    return find_user(user_id)


def confirm_email(user_id: str, digits: str) -> User:
    """Replace the user's email by the new one that the code was sent to; return the user."""
    user = find_user(user_id)
    if user.pending_email is None:
        raise Conflict("There is no valid code. Request a new one.", code="code_expired")
    check_code(replace(user, email=user.pending_email), "email", digits, CodePurpose.NEW_EMAIL)

    def write() -> list[Notification]:
        User.replace_email(user, str(user.pending_email))
        Code.delete(user_id, CodePurpose.NEW_EMAIL.name_on("email"))
        return record_events([account_event(user_id, AccountChange.EMAIL)], now())

    try:
        events = run_transaction(
            write, already_committed=Notification.are_written, user_ids=[user_id]
        )
    except DuplicateKeyError:
        raise _email_taken() from None
    publish_events(events)
    return find_user(user_id)


def _write(user: User, fields: dict[str, str], change: AccountChange | None) -> None:
    def write() -> list[Notification]:
        User.set_fields(user.client_id, fields)
        drafts = [account_event(user.client_id, change)] if change else []
        return record_events(drafts, now())

    publish_events(run_transaction(write, user_ids=[user.client_id]))


def _request_email(user: User, email: str) -> None:
    """Send a code to a new address, and tell the present one."""
    is_taken = Identity.find_client_id(email) not in (None, user.client_id)
    if is_taken and not services().settings.strict_accounts:
        raise _email_taken()
    new = replace(user, email=email)
    send_code(new, "email", CodePurpose.NEW_EMAIL, only_counts=is_taken)
    if is_taken:
        # The response is that for a free address.
        notify_in_background(write_registration, email)
    _write(user, {"pending_email": email}, AccountChange.EMAIL_REQUESTED)


def _require_mobile(phone: str) -> None:
    settings = services().settings
    if settings.strict_accounts and not is_mobile_in(phone, settings.sms_countries):
        countries = " or ".join(settings.sms_countries)
        raise InvalidFields({"phone": f"must be a mobile number of {countries}"})


def _email_taken() -> Conflict:
    return Conflict("This email is already registered.", code="email_taken")
