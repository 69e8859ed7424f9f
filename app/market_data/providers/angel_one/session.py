"""The session with Angel One: one sign-in a day, and one more each time it is over early."""

from __future__ import annotations

import copy
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pyotp

from app.clock import Clock
from app.domain.candle import IST
from app.logs import logger
from app.market_data.providers.angel_one.responses import TRY_LATER, WRONG_CODE, AngelFailure
from app.market_data.providers.angel_one.throttle import LOGINS, REQUESTS, Throttle
from app.market_data.providers.angel_one.transport import Transport
from app.market_data.providers.base import SourceError, SourceRefused, SourceUnavailable
from config import Settings

if TYPE_CHECKING:
    from app.market_data.providers.angel_one.client import SmartClient

# So long a caller waits for its turn, and for another's sign-in.
TIMEOUT_SECONDS = 4.0
SIGN_IN_PATIENCE_SECONDS = 8.0
# A code that has less than this to live may be refused by the time it is there.
CODE_MARGIN_SECONDS = 1.0
# A new session that is refused at once will not be cured by another.
RENEWAL_SECONDS = 60.0
# Another process may have used the same code; several of those should not meet again.
SECOND_CHANCE_SECONDS = (60.0, 300.0)

ADVICE = {
    "AB1007": "correct ANGEL_CLIENT_CODE and ANGEL_PASSWORD (the PIN of the Angel One app)",
    WRONG_CODE: (
        "correct ANGEL_TOTP_SECRET (the key shown with the QR code at "
        "https://smartapi.angelone.in/enable-totp), or set this machine's clock"
    ),
    "AG8004": "correct ANGEL_API_KEY (My Apps at https://smartapi.angelone.in)",
}
OTHER_ADVICE = "look at ANGEL_API_KEY, ANGEL_CLIENT_CODE, ANGEL_PASSWORD and ANGEL_TOTP_SECRET"


@dataclass(frozen=True, slots=True)
class StreamCredentials:
    """What Angel One's stream wants of us. Its repr shows no secret."""

    api_key: str = field(repr=False)
    client_code: str = field(repr=False)
    jwt_token: str = field(repr=False)
    feed_token: str = field(repr=False)


@dataclass(slots=True)
class _SignedIn:
    """A session: its calls, its tokens, and whether it has been of any use."""

    client: SmartClient
    credentials: StreamCredentials
    day: date
    began_at: float
    # The first of a run may be refused; one that replaces another has to show that it helps.
    is_proven: bool
    is_over: bool = False


class AngelSession:
    """Shared by all threads; each method raises SourceError where there is no session.

    Once the vendor has refused the credentials for good, nothing is asked any more.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        requests: Throttle = REQUESTS,
        logins: Throttle = LOGINS,
    ) -> None:
        """Keep to the paces of the process, or to others."""
        self._clock = clock
        self._requests = requests
        self._logins = logins
        self._api_key = settings.angel_api_key
        self._client_code = settings.angel_client_code
        self._password = settings.angel_password
        self._totp = pyotp.TOTP(settings.angel_totp_secret.get_secret_value())
        self._transport = Transport(settings.angel_root_url)
        self._lock = threading.Lock()
        self._current: _SignedIn | None = None
        self._failures = 0
        self._failure: SourceError | None = None
        self._refusal: SourceRefused | None = None
        self._not_before = -math.inf
        self._last_code: int | None = None
        self._had_second_chance = False

    def credentials(self) -> StreamCredentials:
        """Return those of today, signing in if needed."""
        return self._signed_in().credentials

    def renew(self, stale: StreamCredentials) -> StreamCredentials:
        """Sign in again, once for all who were refused `stale`; return the new ones."""
        return self._signed_in(refused=stale).credentials

    def ask(self, call: Callable[[SmartClient], dict[str, Any]]) -> dict[str, Any]:
        """Return the answer to a call; where its session is over, sign in and call once more."""
        session = self._signed_in()
        try:
            answer = self._yield_first(session, call)
        except AngelFailure as failure:
            if not failure.is_session_over:
                raise
            session = self._signed_in(refused=session.credentials)
            answer = self._yield_first(session, call)
        session.is_proven = True
        return answer

    def _yield_first(
        self, session: _SignedIn, call: Callable[[SmartClient], dict[str, Any]]
    ) -> dict[str, Any]:
        with self._requests.turn(TIMEOUT_SECONDS):
            return call(session.client)

    def _signed_in(self, refused: StreamCredentials | None = None) -> _SignedIn:
        """Return a session whose credentials are others than those refused."""
        failures = self._failures
        if session := self._usable(refused):
            return session
        if not self._lock.acquire(timeout=SIGN_IN_PATIENCE_SECONDS):
            raise SourceUnavailable("the sign-in to Angel One takes too long")
        try:
            if session := self._usable(refused):
                return session
            if self._current and self._current.credentials == refused:
                self._current.is_over = True
            if self._failure and self._failures != failures:
                # Another thread has tried, since we came, for us too.
                raise copy.copy(self._failure)
            return self._sign_in()
        finally:
            self._lock.release()

    def _usable(self, refused: StreamCredentials | None) -> _SignedIn | None:
        session = self._current
        if session is None or session.is_over or session.credentials == refused:
            return None
        return session if session.day == _vendor_day(self._clock.now()) else None

    def _sign_in(self) -> _SignedIn:
        self._check_allowed()
        replaced = self._current
        try:
            client = self._log_in()
        except SourceError as error:
            self._failure = error
            self._failures += 1
            raise
        assert client.access_token
        assert client.feed_token
        self._current = _SignedIn(
            client,
            StreamCredentials(
                api_key=self._api_key.get_secret_value(),
                client_code=self._client_code.get_secret_value(),
                jwt_token=client.access_token,
                feed_token=client.feed_token,
            ),
            day=_vendor_day(self._clock.now()),
            began_at=self._clock.monotonic(),
            is_proven=replaced is None or not replaced.is_over,
        )
        self._had_second_chance = False
        logger.info("signed in to Angel One")
        return self._current

    def _check_allowed(self) -> None:
        if self._refusal:
            raise copy.copy(self._refusal)
        now = self._clock.monotonic()
        if now < self._not_before:
            raise SourceUnavailable(
                "Angel One refused the last sign-in", retry_after=self._not_before - now
            )
        last = self._current
        if last and last.is_over and not last.is_proven:
            left = last.began_at + RENEWAL_SECONDS - now
            if left > 0:
                raise SourceUnavailable(
                    "Angel One refuses sessions that it has only just begun", retry_after=left
                )

    def _log_in(self) -> SmartClient:
        from app.market_data.providers.angel_one.client import SmartClient

        client = SmartClient(self._transport, self._api_key.get_secret_value())
        with self._logins.turn(TIMEOUT_SECONDS), self._requests.turn(TIMEOUT_SECONDS):
            if (left := self._code_seconds_left()) < CODE_MARGIN_SECONDS:
                time.sleep(left)
            now = self._clock.now()
            code, self._last_code = self._last_code, self._totp.timecode(now)
            try:
                client.sign_in(
                    self._client_code.get_secret_value(),
                    self._password.get_secret_value(),
                    self._totp.at(now),
                )
            except AngelFailure as failure:
                raise self._judge(failure, code_was_used=code == self._last_code) from None
        return client

    def _code_seconds_left(self) -> float:
        interval = self._totp.interval
        return interval - self._clock.now().timestamp() % interval

    def _judge(self, failure: AngelFailure, *, code_was_used: bool) -> SourceError:
        """Return what a failed login means: later, later once more, or never again."""
        if not _is_definite(failure):
            return failure
        advice = f"{failure}; {ADVICE.get(failure.code, OTHER_ADVICE)}"
        if failure.code != WRONG_CODE or (self._had_second_chance and not code_was_used):
            self._refusal = SourceRefused(f"{advice}, then restart the server")
            logger.error("Angel One refused the sign-in for good: %s", self._refusal)
            return self._refusal
        # A code counts once, and this one was used here or, after a restart, by another process.
        if code_was_used:
            wait = self._code_seconds_left()
        else:
            self._had_second_chance = True
            wait = random.uniform(*SECOND_CHANCE_SECONDS)
            logger.error("Angel One refused the sign-in; one more in %.0f s: %s", wait, advice)
        self._not_before = self._clock.monotonic() + wait
        return SourceUnavailable(advice, retry_after=wait)


def _is_definite(failure: AngelFailure) -> bool:
    if failure.code in ADVICE:
        return True
    may_pass = failure.code in TRY_LATER or failure.is_session_over or failure.status >= 500
    return bool(failure.code) and not may_pass


def _vendor_day(time: datetime) -> date:
    # Every session ends at midnight in India.
    return time.astimezone(IST).date()
