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

    With `only_counts` the code is counted and not sent; the result is the same. Raises RateLimited
    after too many codes, Conflict or Unavailable if it cannot be sent.
    """
    time, name = now(), purpose.name_on(channel)
    _require_gap(Code.find(user.client_id, name), time)
    _take_quota(user.address(channel), time)
    digits = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    code = _make_code(user, channel, name, digits, time)
    if not code.save(MIN_GAP):
        # A request at the same time was faster.
        _give_back_quota(user.address(channel), time)
        raise _sent_already(MIN_GAP)
    if only_counts:
        return code.expires_at
    try:
        services().messenger.send_code(user, channel, digits, purpose)
    except PaperTradingError:
        # Nothing was sent, so nothing is counted.
        Code.delete(user.client_id, name)
        _give_back_quota(user.address(channel), time)
        raise
    return code.expires_at


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


def _make_code(user: User, channel: str, name: str, digits: str, time: datetime) -> Code:
    return Code(
        user_id=user.client_id,
        channel=name,
        address=user.address(channel),
        digest=_digest(user, channel, name, digits),
        attempts_left=MAX_ATTEMPTS,
        created_at=time,
        expires_at=time + CODE_LIFETIME,
    )


def _require_gap(last: Code | None, time: datetime) -> None:
    if last and time < last.created_at + MIN_GAP:
        raise _sent_already(last.created_at + MIN_GAP - time)


def _sent_already(wait: timedelta) -> RateLimited:
    return RateLimited(
        "A code was sent a moment ago. It may take a minute to arrive.",
        code="code_sent_already",
        retry_after_seconds=int(wait.total_seconds()) + 1,
    )


def _give_back_quota(address: str, time: datetime) -> None:
    for key in _quota_keys(address, time):
        Quota.give_back(key)


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
