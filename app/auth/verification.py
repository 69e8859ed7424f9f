"""Confirming an email address or a phone number with a code that is sent to it."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from pymongo.errors import DuplicateKeyError

from app.database.transactions import run_transaction
from app.domain.contact import is_mobile_in
from app.domain.errors import AccountGone, Conflict, PaperTradingError, RateLimited
from app.models import CODE_LIFETIME, Code, Quota, User
from app.services import now, services

# Minimum time between two codes: the first may still be in transit.
MIN_GAP = timedelta(minutes=1)
MAX_ATTEMPTS = 5
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Whether the address is confirmed, and when the code for it expires."""

    confirmed: bool
    expires_at: datetime | None = None


def request_code(user_id: str, channel: str) -> Confirmation:
    """Send the user a code, which replaces the one before it, unless the address is confirmed.

    Raises RateLimited after too many codes, Conflict or Unavailable if it cannot be sent.
    """
    user = _find(user_id)
    if user.is_confirmed(channel):
        return Confirmation(confirmed=True)
    _require_allowed(user, channel)
    time = now()
    _require_gap(Code.find(user_id, channel), time)
    _take_quota(user.address(channel), time)
    try:
        return _send(user, channel, time)
    except PaperTradingError:
        # Nothing was sent, so nothing is counted.
        Code.delete(user_id, channel)
        for key in _quota_keys(user.address(channel), time):
            Quota.give_back(key)
        raise


def _send(user: User, channel: str, time: datetime) -> Confirmation:
    digits = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    code = Code(
        user_id=user.client_id,
        channel=channel,
        address=user.address(channel),
        digest=_digest(user, channel, digits),
        attempts_left=MAX_ATTEMPTS,
        created_at=time,
        expires_at=time + CODE_LIFETIME,
    )
    code.save()
    services().messenger.send_code(user, channel, digits)
    return Confirmation(confirmed=False, expires_at=code.expires_at)


def confirm_code(user_id: str, channel: str, digits: str) -> Confirmation:
    """Confirm the user's address; raise Conflict for a wrong, old or used up code."""
    user = _find(user_id)
    if user.is_confirmed(channel):
        return Confirmation(confirmed=True)
    code = Code.find(user_id, channel)
    if code is None or code.address != user.address(channel) or not code.take_attempt(now()):
        raise Conflict("There is no valid code. Request a new one.", code="code_expired")
    if not hmac.compare_digest(code.digest, _digest(user, channel, digits)):
        raise Conflict(
            "This is not the code that was sent.",
            code="code_wrong",
            details={"attempts_left": code.attempts_left - 1},
        )
    _confirm(user, channel)
    return Confirmation(confirmed=True)


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


def _find(user_id: str) -> User:
    user = User.find_by_client_id(user_id)
    if user is None:
        raise AccountGone
    return user


def _require_allowed(user: User, channel: str) -> None:
    settings = services().settings
    if channel == "sms" and settings.strict_accounts:
        countries = settings.sms_countries
        if not is_mobile_in(user.phone, countries):
            raise Conflict(
                f"SMS go to mobile numbers of {' or '.join(countries)} only.",
                code="phone_not_allowed",
            )


def _require_gap(last: Code | None, time: datetime) -> None:
    if last and time < last.created_at + MIN_GAP:
        wait = (last.created_at + MIN_GAP - time).total_seconds()
        raise RateLimited(
            "A code was sent a moment ago. It may take a minute to arrive.",
            code="code_sent_already",
            retry_after_seconds=int(wait) + 1,
        )


def _take_quota(address: str, time: datetime) -> None:
    settings = services().settings
    own, server = _quota_keys(address, time)
    allowed = Quota.take(own, settings.max_codes_per_recipient)
    if allowed and not Quota.take(server, settings.max_codes_per_day):
        Quota.give_back(own)
        allowed = False
    if not allowed:
        midnight = (time + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        raise RateLimited(
            "Too many codes were sent today. Try again tomorrow.",
            code="too_many_codes",
            retry_after_seconds=int((midnight - time).total_seconds()) + 1,
        )


def _quota_keys(address: str, time: datetime) -> tuple[str, str]:
    return Quota.key("codes", time, address), Quota.key("codes", time)


def _digest(user: User, channel: str, digits: str) -> str:
    """Return the digest of a code that is stored: a plain hash of six digits is easy to reverse."""
    key = services().settings.secret_key.get_secret_value().encode()
    text = f"{user.client_id}\n{channel}\n{user.address(channel)}\n{digits}"
    return hmac.new(key, text.encode(), sha256).hexdigest()
