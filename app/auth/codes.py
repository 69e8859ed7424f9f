"""Codes of six digits that are sent to an address: single-use, short-lived, and few."""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from app.domain.errors import Conflict, PaperTradingError, RateLimited
from app.models import CODE_LIFETIME, Code, CodePurpose, Quota, User
from app.services import now, services

# Minimum time between two codes: the first may still be in transit.
MIN_GAP = timedelta(minutes=1)
MAX_ATTEMPTS = 5
DIGITS = 6


def send_code(
    user: User,
    channel: str,
    purpose: CodePurpose = CodePurpose.CONFIRM,
    *,
    only_counts: bool = False,
) -> datetime:
    """Send the user a code, which replaces the one before it; return when it expires.

    With `only_counts` nothing is sent, and nobody can tell. Raises RateLimited after too many
    codes, Conflict or Unavailable if it cannot be sent.
    """
    time = now()
    _require_gap(Code.find(user.client_id, purpose.name_on(channel)), time)
    _take_quota(user.address(channel), time)
    try:
        return _send(user, channel, purpose, time, only_counts)
    except PaperTradingError:
        # Nothing was sent, so nothing is counted.
        Code.delete(user.client_id, purpose.name_on(channel))
        for key in _quota_keys(user.address(channel), time):
            Quota.give_back(key)
        raise


def check_code(
    user: User, channel: str, digits: str, purpose: CodePurpose = CodePurpose.CONFIRM
) -> None:
    """Raise Conflict for a wrong, old or used up code. The caller deletes a right one."""
    name = purpose.name_on(channel)
    code = Code.find(user.client_id, name)
    if code is None or code.address != user.address(channel) or not code.take_attempt(now()):
        raise Conflict("There is no valid code. Request a new one.", code="code_expired")
    if not hmac.compare_digest(code.digest, _digest(user, channel, name, digits)):
        raise Conflict(
            "This is not the code that was sent.",
            code="code_wrong",
            details={"attempts_left": code.attempts_left - 1},
        )


def _send(
    user: User, channel: str, purpose: CodePurpose, time: datetime, only_counts: bool
) -> datetime:
    digits = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    name = purpose.name_on(channel)
    code = Code(
        user_id=user.client_id,
        channel=name,
        address=user.address(channel),
        digest=_digest(user, channel, name, digits),
        attempts_left=MAX_ATTEMPTS,
        created_at=time,
        expires_at=time + CODE_LIFETIME,
    )
    code.save()
    if not only_counts:
        services().messenger.send_code(user, channel, digits, purpose)
    return code.expires_at


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


def _digest(user: User, channel: str, name: str, digits: str) -> str:
    """Return the digest of a code that is stored: a plain hash of six digits is easy to reverse."""
    key = services().settings.secret_key.get_secret_value().encode()
    text = f"{user.client_id}\n{name}\n{user.address(channel)}\n{digits}"
    return hmac.new(key, text.encode(), sha256).hexdigest()
