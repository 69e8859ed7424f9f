"""Registering and signing in."""

from __future__ import annotations

from pymongo.errors import DuplicateKeyError, PyMongoError

from app.auth.attempts import SignInAttempt
from app.auth.notices import notify_owner
from app.auth.passwords import hash_password, is_outdated, is_password
from app.auth.rules import check_registration
from app.auth.schemas import LoginRequest, RegisterRequest
from app.database.transactions import run_transaction
from app.domain.errors import Conflict, ServerBusy, Unauthenticated
from app.logs import logger
from app.models import Inbox, User
from app.services import now, services
from app.web.auth import issue_token


def register(request: RegisterRequest) -> str:
    """Create the user; return the client_id. Raise Conflict if the email or client_id is taken.

    With strict rules a taken email is answered like a free one, and its owner is notified.
    """
    settings = services().settings
    client_id = request.client_id or request.email
    if settings.strict_accounts:
        check_registration(request, settings.sms_countries)
    # First, so that the answer takes as long for a taken address.
    password_hash = hash_password(request.password)
    try:
        _refuse_taken(request.email, request.client_id)
        _create(request, client_id, password_hash)
    except Conflict as conflict:
        if not settings.strict_accounts or conflict.code != "email_taken":
            raise
        notify_owner(request.email)
    return client_id


def _create(request: RegisterRequest, client_id: str, password_hash: str) -> User:
    def write() -> User:
        Inbox.create(client_id)
        return User.create(
            client_id=client_id,
            name=request.name,
            email=request.email,
            phone=request.phone,
            password_hash=password_hash,
            created_at=now(),
        )

    try:
        return run_transaction(
            write,
            already_committed=lambda user: User.find_by_id(user.id) is not None,
            user_ids=[client_id],
        )
    except DuplicateKeyError:
        # Two registrations at once: the unique indexes let the other one in.
        _refuse_taken(request.email, request.client_id)
        raise


def sign_in(request: LoginRequest) -> tuple[str, str]:
    """Return the client_id and a token.

    Raises Unauthenticated if either is wrong, RateLimited after too many failures.
    """
    name = str(request.email or request.client_id)
    user = User.find_by_name(name)
    attempt = SignInAttempt(name, user)
    attempt.begin()
    if not is_password(request.password, user.password_hash if user else None) or not user:
        attempt.fail()
        raise Unauthenticated("The email or password is wrong.", code="invalid_credentials")
    attempt.succeed()
    if is_outdated(request.password, user.password_hash):
        _rehash(user, request.password)
    return user.client_id, issue_token(user.client_id)


def _rehash(user: User, password: str) -> None:
    try:
        User.replace_password_hash(user.client_id, user.password_hash, hash_password(password))
    except (PyMongoError, ServerBusy) as error:
        # The old hash serves until the next sign-in.
        logger.warning("a password hash was not renewed: %s", type(error).__name__)


def _refuse_taken(email: str, client_id: str | None) -> None:
    # The client_id first: what it answers must not depend on the email.
    if client_id and User.find_by_name(client_id):
        raise Conflict("This client_id is taken.", code="client_id_taken")
    if User.find_by_name(email):
        raise Conflict("This email is registered already.", code="email_taken")
