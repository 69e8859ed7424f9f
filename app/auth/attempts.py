"""Failed sign-ins: each makes the next wait longer, and the owner of the account is notified.

Failures are counted twice. Those of one address against one account delay that address, by up to
15 minutes. Those of all addresses together delay every address, but by a minute at most, and never
an address from which the owner has signed in. So an attacker cannot lock an owner out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.auth.notices import notify_in_background, write_failures
from app.domain.contact import identity_key
from app.domain.errors import RateLimited
from app.extensions import limiter
from app.logs import logger
from app.models import User
from app.web.limit_keys import address_key
from app.web.rate_limits import Counts, counts

DAY_SECONDS = 24 * 60 * 60
KNOWN_ADDRESS_SECONDS = 30 * DAY_SECONDS
# Failures in a day, from addresses unknown to the owner, at which the owner is notified.
NOTICE_AT = 5


@dataclass(frozen=True, slots=True)
class _Delays:
    """How many failures are free, and the delays after the next ones, in seconds."""

    free: int
    first: int
    longest: int

    def after(self, failures: int) -> int:
        # Bounded, so that a long series does not compute a huge power of two.
        doublings = min(failures - self.free - 1, 20)
        return min(self.first * 2**doublings, self.longest) if doublings >= 0 else 0


OF_ONE_ADDRESS = _Delays(free=5, first=5, longest=15 * 60)
OF_ALL_ADDRESSES = _Delays(free=10, first=1, longest=60)


class SignInAttempt:
    """One attempt to sign in to an account, from the address of this request."""

    def __init__(self, name: str, user: User | None) -> None:
        account = user.client_id if user else identity_key(name)
        self._user = user
        self._here = f"sign-in/{account}/{address_key()}"
        self._anywhere = f"sign-in/{account}"
        self._counts = counts()

    def begin(self) -> None:
        """Raise RateLimited while the account, or this address, is delayed."""
        if not limiter.enabled:
            return
        waits = [self._counts.seconds_left(f"{self._here}/delay")]
        if not self._is_known:
            waits.append(self._counts.seconds_left(f"{self._anywhere}/delay"))
        if any(waits):
            raise _delayed(max(waits))
        # Counted before the password is checked, so that concurrent guesses are delayed too.
        if _count(self._counts, self._here, OF_ONE_ADDRESS) > 1:
            raise _delayed(self._counts.seconds_left(f"{self._here}/delay"))

    def succeed(self, outcome: str = "signed in") -> None:
        """Clear the failures of this address, and remember it as one of the owner's."""
        self._log(outcome)
        if not limiter.enabled:
            return
        for key in (self._here, f"{self._here}/delay"):
            self._counts.clear(key)
        self._counts.add(f"{self._here}/known", KNOWN_ADDRESS_SECONDS)

    def fail(
        self,
        outcome: str = "sign-in failed",
        write_notice: Callable[[str, int], None] = write_failures,
    ) -> None:
        """Count a wrong password or code, and notify the owner once a day."""
        self._log(outcome)
        if not limiter.enabled or self._is_known:
            return
        _count(self._counts, self._anywhere, OF_ALL_ADDRESSES)
        if self._counts.add(f"{self._anywhere}/notice", DAY_SECONDS) == NOTICE_AT and self._user:
            notify_in_background(write_notice, self._user.client_id, NOTICE_AT)

    def _log(self, outcome: str) -> None:
        # An unknown name is not logged: it may be a password, typed into the wrong field.
        fields = {
            "user": self._user.client_id if self._user else "unknown",
            "address": address_key().partition(":")[2],
        }
        logger.info(outcome, extra={"fields": fields})

    @property
    def _is_known(self) -> bool:
        return self._counts.seconds_left(f"{self._here}/known") > 0


def _count(counts: Counts, key: str, delays: _Delays) -> int:
    """Count a failure and start its delay; return how many attempts have started that delay."""
    delay = delays.after(counts.add(key, DAY_SECONDS))
    return counts.add(f"{key}/delay", delay) if delay else 0


def _delayed(seconds: int) -> RateLimited:
    seconds = max(seconds, 1)
    return RateLimited(
        f"Too many failed sign-ins to this account. Try again in {seconds} seconds.",
        code="sign_in_delayed",
        retry_after_seconds=seconds,
        details={"limit": "sign_in"},
    )
