"""Notices to the owner of an account about what someone else tried."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import ParamSpec

from pymongo.errors import PyMongoError

from app.concurrency import spawn
from app.domain.errors import PaperTradingError
from app.logs import logger
from app.models import EventDraft, Quota, User
from app.notifications.service import write_event
from app.services import application, now

# Maximum a day: more would let anyone fill the owner's mailbox.
MAX_REGISTRATION_NOTICES = 1

P = ParamSpec("P")


class AccountChange(StrEnum):
    """What has changed of an account."""

    PASSWORD = "password"  # noqa: S105 - a change
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a change
    PHONE = "phone"
    EMAIL_REQUESTED = "email_requested"
    EMAIL = "email"
    SESSION_REUSED = "session_reused"
    SECOND_FACTOR_ON = "second_factor_on"
    SECOND_FACTOR_OFF = "second_factor_off"
    RECOVERY_CODE_USED = "recovery_code_used"
    SECOND_FACTOR_FAILURES = "second_factor_failures"


_SENTENCES = {
    AccountChange.PASSWORD: "Your password was changed, and your other sessions were ended.",
    AccountChange.PASSWORD_RESET: "Your password was reset by a code that was sent to your email "
    "address, and your sessions were ended.",
    AccountChange.PHONE: "The phone number of your account was changed.",
    AccountChange.EMAIL_REQUESTED: "A new email address was requested for your account. It takes "
    "effect when it is confirmed with a code.",
    AccountChange.EMAIL: "The email address of your account was changed.",
    AccountChange.SESSION_REUSED: "A session of yours was ended, because a refresh token of it was "
    "used twice.",
    AccountChange.SECOND_FACTOR_ON: "The second factor of your account was turned on.",
    AccountChange.SECOND_FACTOR_OFF: "The second factor of your account was turned off.",
    AccountChange.RECOVERY_CODE_USED: "A recovery code of your account was used in place of the "
    "authenticator app.",
    AccountChange.SECOND_FACTOR_FAILURES: "Someone has your password, and tried wrong "
    "codes of your second factor.",
}
ADVICE = "If it was not you, change your password, or reset it with POST /auth/password/forgot."


def notify_in_background(write: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Notify an owner by `write`, in the background.

    The response must not take longer for it: its time would show that the account exists.
    """
    app = application()

    def notify() -> None:
        with app.app_context():
            try:
                write(*args, **kwargs)
            except (PyMongoError, PaperTradingError) as error:
                logger.warning("an owner was not notified: %s", type(error).__name__)

    spawn(notify)


def account_event(user_id: str, change: AccountChange) -> EventDraft:
    """Return the event that tells a user of a change of their account."""
    return EventDraft(
        user_id=user_id,
        type="account_changed",
        message=f"{_SENTENCES[change]} {ADVICE}",
        data={"change": change.value},
    )


def write_failures(user_id: str, failures: int) -> None:
    """Notify an owner of failed sign-ins from unknown addresses."""
    write_event(
        EventDraft(
            user_id=user_id,
            type="sign_in_failures",
            message=f"Someone tried {failures} times to sign in to your account with a wrong "
            "password, from an address you have not signed in from. If it was not you, your "
            "password is still safe: further attempts have to wait.",
            data={"failures": failures},
        )
    )


def write_factor_failures(user_id: str, _failures: int) -> None:
    """Notify an owner of wrong codes that followed their right password."""
    write_event(account_event(user_id, AccountChange.SECOND_FACTOR_FAILURES))


def write_registration(email: str) -> None:
    """Notify an owner that their email address was registered again."""
    owner = User.find_by_name(email)
    if owner is None:
        return
    # Counted apart: an unconfirmed owner is sent nothing, so that notice must not use up the quota
    # of the confirmed owner.
    kind = "owner-notice" if owner.is_confirmed("email") else "unconfirmed-owner-notice"
    if not Quota.take(Quota.key(kind, now(), owner.email), MAX_REGISTRATION_NOTICES):
        return
    write_event(
        EventDraft(
            user_id=owner.client_id,
            type="registration_attempted",
            message="Someone tried to register a new account with your email address. You already"
            " have an account: sign in with it. If it was not you, nothing has changed.",
            data={"user_id": owner.client_id},
        )
    )
