"""Registering and signing in."""

from __future__ import annotations

from functools import cache

from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError
from werkzeug.security import check_password_hash, generate_password_hash

from app.auth.schemas import LoginRequest, RegisterRequest
from app.concurrency import run_hashing
from app.database.transaction import run_transaction
from app.domain.errors import Conflict, Unauthenticated
from app.identity import issue_token
from app.models import Inbox, User
from app.runtime import now


def register(request: RegisterRequest) -> User:
    """Create the user; raise Conflict where the email or client_id is taken."""
    client_id = request.client_id or request.email
    _refuse_taken(request.email, client_id)
    password_hash = run_hashing(generate_password_hash, request.password)

    def write(session: ClientSession) -> User:
        Inbox.create(client_id, session)
        return User.create(
            client_id=client_id,
            name=request.name,
            email=request.email,
            phone=request.phone,
            password_hash=password_hash,
            created_at=now(),
            session=session,
        )

    try:
        return run_transaction(
            write,
            is_done=lambda user, session: User.find_by_id(user.id, session) is not None,
            user_ids=[client_id],
        )
    except DuplicateKeyError:
        # Two registrations at once: the unique indexes let the other one in.
        _refuse_taken(request.email, client_id)
        raise


def sign_in(request: LoginRequest) -> tuple[str, str]:
    """Return the client_id and a token; raise Unauthenticated where either is wrong."""
    user = _find(request)
    # An unknown user costs a hash too, so that time does not tell which of the two was wrong.
    password_hash = user.password_hash if user else _nobodys_hash()
    matches = run_hashing(check_password_hash, password_hash, request.password)
    if user is None or not matches:
        raise Unauthenticated("The email or password is wrong.", code="invalid_credentials")
    return user.client_id, issue_token(user.client_id)


def _find(request: LoginRequest) -> User | None:
    if request.email is not None:
        return User.find_by_email(request.email.strip().lower())
    client_id = str(request.client_id)
    return User.find_by_client_id(client_id) or User.find_by_client_id(client_id.lower())


def _refuse_taken(email: str, client_id: str) -> None:
    if User.find_by_email(email):
        raise Conflict("This email is registered already.", code="email_taken")
    if User.find_by_client_id(client_id):
        raise Conflict("This client_id is taken.", code="client_id_taken")


@cache
def _nobodys_hash() -> str:
    return run_hashing(generate_password_hash, "nobody")
