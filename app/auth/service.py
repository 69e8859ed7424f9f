"""Registering and signing in."""

from __future__ import annotations

from pymongo.errors import DuplicateKeyError, PyMongoError

from app.auth.attempts import SignInAttempt
from app.auth.notices import notify_in_background, write_factor_failures, write_registration
from app.auth.passwords import hash_password, is_outdated, is_password
from app.auth.rules import Registration, check_registration
from app.auth.second_factor import take_code
from app.auth.sessions import Tokens, start_session
from app.database.transactions import run_transaction
from app.domain.errors import Conflict, ServerBusy, Unauthenticated
from app.logs import logger
from app.models import Inbox, SecondFactor, User
from app.services import now, services


def register(registration: Registration) -> str:
    """Create the user; return the client_id. Raise Conflict if the email or client_id is taken.

    With strict rules the response for a taken email is the same as for a free one, and the owner
    is notified.
    """
    settings = services().settings
    if settings.strict_accounts:
        check_registration(registration, settings.sms_countries)
    # Hashed first, so that the response takes as long for a taken address.
    password_hash = hash_password(registration.password)
    try:
        _refuse_taken(registration)
        _create(registration, password_hash)
    except Conflict as conflict:
        if not settings.strict_accounts or conflict.code != "email_taken":
            raise
        notify_in_background(write_registration, registration.email)
    return registration.user_id


def _create(registration: Registration, password_hash: str) -> User:
    def write() -> User:
        Inbox.create(registration.user_id)
        return User.create(
            client_id=registration.user_id,
            name=registration.name,
            email=registration.email,
            phone=registration.phone,
            password_hash=password_hash,
            created_at=now(),
        )

    try:
        return run_transaction(
            write,
            already_committed=lambda user: User.find_by_id(user.id) is not None,
            user_ids=[registration.user_id],
        )
    except DuplicateKeyError:
        # A concurrent registration was faster: the unique indexes accept one of them.
        _refuse_taken(registration)
        # The account with this name is being deleted.
        raise _email_taken() from None


def sign_in(name: str, password: str, totp: str | None = None) -> Tokens:
    """Start a session of a user, by email or client_id; return its tokens.

    Raises Unauthenticated if the name or password is wrong, or the second factor is wrong or
    missing; RateLimited after too many failures.
    """
    user = User.find_by_name(name)
    attempt = SignInAttempt(name, user)
    attempt.begin()
    if not is_password(password, user.password_hash if user else None) or not user:
        attempt.fail()
        raise Unauthenticated("The email or password is wrong.", code="invalid_credentials")
    _require_second_factor(user, attempt, totp)
    attempt.succeed()
    if is_outdated(password, user.password_hash):
        _rehash(user, password)
    return start_session(user.client_id)


def _require_second_factor(user: User, attempt: SignInAttempt, code: str | None) -> None:
    factor = SecondFactor.find_confirmed(user.client_id)
    if factor is None:
        return
    if code is None:
        raise Unauthenticated(
            "This account has a second factor. Send its code as totp, in the same request.",
            code="totp_required",
        )
    if not take_code(factor, code):
        attempt.fail("second factor failed", write_factor_failures)
        raise Unauthenticated(
            "This is not a valid code of the second factor. Each code is valid once.",
            code="totp_invalid",
        )


def _rehash(user: User, password: str) -> None:
    try:
        User.replace_password_hash(user.client_id, user.password_hash, hash_password(password))
    except (PyMongoError, ServerBusy) as error:
        # The old hash stays valid until the next sign-in.
        logger.warning("a password hash was not renewed: %s", type(error).__name__)


def _refuse_taken(registration: Registration) -> None:
    # The client_id first: its error must not depend on the email.
    if registration.client_id and User.find_by_name(registration.client_id):
        raise Conflict("This client_id is taken.", code="client_id_taken")
    if User.find_by_name(registration.email):
        raise _email_taken()


def _email_taken() -> Conflict:
    return Conflict("This email is already registered.", code="email_taken")
