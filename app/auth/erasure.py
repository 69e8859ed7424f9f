"""Deleting an account with all that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo.errors import PyMongoError

from app.auth.second_factor import require_confirmed
from app.auth.sessions import announce_ended
from app.auth.verification import find_user
from app.database.transactions import name_error, run_transaction
from app.logs import logger
from app.models import ApiKey, Erasure, Session, User
from app.services import now


def delete_account(user_id: str, password: str, code: str | None) -> None:
    """Delete the user, their portfolio, trades, events and everything else of theirs.

    The account is gone in one transaction. The rest follows at once, and if that is interrupted,
    with the next maintenance. Raises Forbidden for a wrong password or second factor.
    """
    user = find_user(user_id)
    require_confirmed(user, password, code)

    def write() -> tuple[Erasure, Sequence[str]]:
        keys = ApiKey.find_by_user_id(user_id)
        ended = [Session.end_key(key.id, user_id, now()) for key in keys]
        ended += Session.end_all(user_id, now())
        return Erasure.begin(user, now()), ended

    erasure, ended = run_transaction(
        write,
        already_committed=lambda _: User.find_by_id(user.id) is None,
        user_ids=[user_id],
    )
    announce_ended(ended)
    try:
        _finish(erasure)
    except PyMongoError as error:
        logger.warning("an erasure continues with the next maintenance: %s", name_error(error))


def finish_erasures() -> int:
    """Continue erasures that were interrupted; return how many documents were deleted."""
    return sum(_finish(erasure) for erasure in Erasure.find_all())


def _finish(erasure: Erasure) -> int:
    deleted = sum(erasure.delete_documents())
    erasure.end()
    return deleted
