"""Confirming an email address or a phone number with a code that is sent to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from app.auth.codes import check_code, send_code
from app.database.transactions import run_transaction
from app.domain.contact import is_mobile_in
from app.domain.errors import AccountGone, Conflict
from app.models import Code, User
from app.services import services


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Whether the address is confirmed, and when the code for it expires."""

    confirmed: bool
    expires_at: datetime | None = None


def request_code(user_id: str, channel: str) -> Confirmation:
    """Send the user a code, which replaces the one before it, unless the address is confirmed.

    Raises RateLimited after too many codes, Conflict or Unavailable if it cannot be sent.
    """
    user = find_user(user_id)
    if user.is_confirmed(channel):
        return Confirmation(confirmed=True)
    _require_allowed(user, channel)
    return Confirmation(confirmed=False, expires_at=send_code(user, channel))


def confirm_code(user_id: str, channel: str, digits: str) -> Confirmation:
    """Confirm the user's address; raise Conflict for a wrong, old or used up code."""
    user = find_user(user_id)
    if user.is_confirmed(channel):
        return Confirmation(confirmed=True)
    check_code(user, channel, digits)
    _confirm(user, channel)
    return Confirmation(confirmed=True)


def find_user(user_id: str) -> User:
    """Return the user; raise AccountGone if there is none."""
    user = User.find_by_client_id(user_id)
    if user is None:
        raise AccountGone
    return user


def _confirm(user: User, channel: str) -> None:
    def write() -> None:
        User.confirm(user, channel)
        Code.delete(user.client_id, channel)

    try:
        run_transaction(write, user_ids=[user.client_id])
    except DuplicateKeyError:
        raise Conflict(
            "Another account has confirmed this number. A number belongs to one account.",
            code="phone_taken",
        ) from None


def _require_allowed(user: User, channel: str) -> None:
    settings = services().settings
    if channel == "sms" and settings.strict_accounts:
        countries = settings.sms_countries
        if not is_mobile_in(user.phone, countries):
            raise Conflict(
                f"SMS go to mobile numbers of {' or '.join(countries)} only.",
                code="phone_not_allowed",
            )
