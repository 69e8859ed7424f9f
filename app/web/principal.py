"""The principal: who is calling, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import InsufficientScope

READ_METHODS = frozenset({"GET", "HEAD"})


class PrincipalKind(StrEnum):
    USER = "user"
    API_KEY = "api_key"


class Scope(StrEnum):
    """What a principal may do.

    `read` reads the user's data, `trade` changes it. `account` is for sessions of people only:
    passwords, keys and where events are sent.
    """

    READ = "read"
    TRADE = "trade"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    `token_id` is the id of the token or API key. `expires_at` is in Unix seconds, without the
    leeway for clocks; infinite for a key that does not expire. `session_id` is None for a key.
    """

    user_id: str
    kind: PrincipalKind
    scopes: frozenset[Scope]
    token_id: str
    expires_at: float
    session_id: str | None = None

    def require(self, scope: Scope) -> None:
        """Raise InsufficientScope if the principal lacks a scope."""
        if scope not in self.scopes:
            raise InsufficientScope(scope, self.scopes)
