"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes."""

from __future__ import annotations

import hmac
import secrets
from base64 import b32encode
from dataclasses import dataclass
from hashlib import sha256

import pyotp
from pymongo.errors import DuplicateKeyError

from app.auth.account import require_password
from app.auth.attempts import SignInAttempt
from app.auth.encryption import decrypt, encrypt
from app.auth.notices import (
    AccountChange,
    account_event,
    notify_in_background,
    write_factor_failures,
)
from app.auth.verification import find_user
from app.database.transactions import run_transaction
from app.domain.errors import Conflict, Forbidden
from app.events import publish_events, record_events
from app.models import Notification, SecondFactor, User
from app.notifications.service import write_event
from app.services import now

ISSUER = "Paper Trading"
PURPOSE = "second factor"
STEP_SECONDS = 30
# The steps around the present one whose codes are accepted: clocks differ, and typing takes time.
# RFC 6238, section 5.2.
TOLERANCE = (0, -1, 1)
RECOVERY_CODES = 10
RECOVERY_BYTES = 10


@dataclass(frozen=True, slots=True)
class Enrollment:
    """A secret to enter into an authenticator app, also as its address and as a QR code."""

    secret: str
    otpauth_uri: str
    qr_svg: str


def start(user_id: str, password: str) -> Enrollment:
    """Give the user a secret, which takes effect when they confirm it with a code.

    Raises Forbidden for a wrong password, Conflict if the user has a second factor.
    """
    user = require_password(user_id, password)
    secret = pyotp.random_base32()
    try:
        SecondFactor.start(user_id, encrypt(secret, PURPOSE))
    except DuplicateKeyError:
        raise _enabled() from None
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER)
    return Enrollment(secret, uri, _draw(uri))


def confirm(user_id: str, code: str) -> list[str]:
    """Have sign-ins need the second factor from now on; return the recovery codes.

    Raises Conflict if the code is wrong, or there is nothing to confirm.
    """
    find_user(user_id)
    factor = SecondFactor.find(user_id)
    if factor is None:
        raise _disabled()
    if factor.confirmed_at:
        raise _enabled()
    if not _take_totp(factor, code):
        raise Conflict(
            "This code is wrong. Check the clock of the device, and send the code it shows now.",
            code="totp_wrong",
        )
    codes = _generate_codes()

    def write() -> list[Notification]:
        if not factor.confirm([_digest(each) for each in codes], now()):
            raise _disabled()
        return record_events([account_event(user_id, AccountChange.SECOND_FACTOR_ON)], now())

    publish_events(run_transaction(write, user_ids=[user_id]))
    return codes


def disable(user_id: str, password: str, code: str) -> None:
    """Have sign-ins need the password only; raise Forbidden or Conflict as `renew_codes`."""
    _require_both(user_id, password, code)
    remove(user_id)


def remove(user_id: str) -> None:
    """Have sign-ins need the password only, and tell the user."""

    def write() -> list[Notification]:
        SecondFactor.delete(user_id)
        return record_events([account_event(user_id, AccountChange.SECOND_FACTOR_OFF)], now())

    publish_events(run_transaction(write, user_ids=[user_id]))


def renew_codes(user_id: str, password: str, code: str) -> list[str]:
    """Replace the recovery codes; return the new ones.

    Raises Forbidden for a wrong password or code, Conflict without a second factor.
    """
    factor = _require_both(user_id, password, code)
    codes = _generate_codes()
    factor.replace_recovery_codes([_digest(each) for each in codes])
    return codes


def take_code(factor: SecondFactor, code: str) -> bool:
    """Return whether a code of the app or a recovery code is valid; it is then used up."""
    plain = "".join(c for c in code if c.isalnum()).lower()
    if plain.isdigit():
        return _take_totp(factor, plain)
    if not factor.take_recovery_code(_digest(plain)):
        return False
    event = account_event(factor.user_id, AccountChange.RECOVERY_CODE_USED)
    notify_in_background(write_event, event)
    return True


def require_confirmed(user: User, password: str, code: str | None) -> None:
    """Raise Forbidden unless the password is right, and so is the code if the user needs one."""
    require_password(user.client_id, password)
    factor = SecondFactor.find_confirmed(user.client_id)
    if factor is not None:
        _require_code(user, factor, code or "")


def _require_both(user_id: str, password: str, code: str) -> SecondFactor:
    user = require_password(user_id, password)
    factor = SecondFactor.find_confirmed(user_id)
    if factor is None:
        raise _disabled()
    _require_code(user, factor, code)
    return factor


def _require_code(user: User, factor: SecondFactor, code: str) -> None:
    attempt = SignInAttempt(user.client_id, user)
    attempt.begin()
    if not take_code(factor, code):
        attempt.fail("a second factor was not confirmed", write_factor_failures)
        raise Forbidden("This is not a valid code of your second factor.", code="totp_invalid")
    attempt.succeed("a second factor was confirmed")


def _take_totp(factor: SecondFactor, code: str) -> bool:
    secret = decrypt(factor.secret, PURPOSE)
    if secret is None:
        return False
    present = int(now().timestamp()) // STEP_SECONDS
    for step in (present + offset for offset in TOLERANCE):
        if hmac.compare_digest(pyotp.HOTP(secret).at(step), code):
            return factor.take_step(step)
    return False


def _generate_codes() -> list[str]:
    """Return new recovery codes of 80 bits, in groups of four letters and digits."""
    texts = (
        b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower()
        for _ in range(RECOVERY_CODES)
    )
    return ["-".join(text[i : i + 4] for i in range(0, len(text), 4)) for text in texts]


def _digest(code: str) -> str:
    """Return the digest of a recovery code; it does not depend on SECRET_KEY, which may change."""
    return sha256(code.replace("-", "").encode()).hexdigest()


def _draw(uri: str) -> str:
    # Imported for the few requests that need it.
    import segno

    return str(segno.make(uri, micro=False).svg_inline(scale=4))


def _enabled() -> Conflict:
    return Conflict("You have a second factor already.", code="totp_enabled")


def _disabled() -> Conflict:
    return Conflict("You have no second factor.", code="totp_disabled")
