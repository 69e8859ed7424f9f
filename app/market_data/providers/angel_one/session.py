"""The session with Angel One: one sign-in a day, and another each time the session ends early."""

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

SLOT_TIMEOUT_SECONDS = 4.0
SIGN_IN_TIMEOUT_SECONDS = 8.0
# A TOTP code that expires sooner may arrive too late.
CODE_MARGIN_SECONDS = 1.0
# Minimum age of a session that was refused from its first request before the next sign-in.
RENEWAL_SECONDS = 60.0
# Another process may have used the same code. The random pause keeps them apart the next time.
SECOND_CHANCE_SECONDS = (60.0, 300.0)

ADVICE = {
    "AB1007": "correct ANGEL_CLIENT_CODE and ANGEL_PASSWORD (the PIN of the Angel One app)",
    WRONG_CODE: (
        "correct ANGEL_TOTP_SECRET (the key shown with the QR code at "
        "https://smartapi.angelone.in/enable-totp), or set this machine's clock"
    ),
    "AG8004": "correct ANGEL_API_KEY (My Apps at https://smartapi.angelone.in)",
}
OTHER_ADVICE = "check ANGEL_API_KEY, ANGEL_CLIENT_CODE, ANGEL_PASSWORD and ANGEL_TOTP_SECRET"

Request = Callable[["SmartClient"], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class StreamCredentials:
    """The credentials of Angel One's stream. The repr shows no secret."""

    api_key: str = field(repr=False)
    client_code: str = field(repr=False)
    jwt_token: str = field(repr=False)
    feed_token: str = field(repr=False)


@dataclass(slots=True)
class _Login:
    """One login: its client, its tokens, and whether they have worked."""

    client: SmartClient
    credentials: StreamCredentials
    day: date
    began_at: float
    # A login that replaces a refused one has yet to show that it works.
    is_proven: bool
    is_over: bool = False


class AngelSession:
    """Shared by all threads. Each method raises SourceError if there is no session.

    Once the vendor has rejected the credentials, every call raises SourceRefused.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        requests: Throttle = REQUESTS,
        logins: Throttle = LOGINS,
    ) -> None:
        """Limit requests and logins by throttles; the defaults are shared in the process."""
        self._clock = clock
        self._requests = requests
        self._logins = logins
        self._api_key = settings.angel_api_key
        self._client_code = settings.angel_client_code
        self._password = settings.angel_password
        self._totp = pyotp.TOTP(settings.angel_totp_secret.get_secret_value())
        self._transport = Transport(settings.angel_root_url)
        self._lock = threading.Lock()
        self._current: _Login | None = None
        self._failures = 0
        self._failure: SourceError | None = None
        self._refusal: SourceRefused | None = None
        self._not_before = -math.inf
        self._last_code: int | None = None
        self._had_second_chance = False

    def credentials(self) -> StreamCredentials:
        """Return today's credentials, signing in if needed."""
        return self._current_login().credentials

    def renew(self, stale: StreamCredentials) -> StreamCredentials:
        """Sign in again, once for all callers with `stale` ones; return the new credentials."""
        return self._current_login(refused=stale).credentials

    def call(self, request: Request) -> dict[str, Any]:
        """Return the response to a request; if the session is over, sign in and retry once."""
        login = self._current_login()
        try:
            response = self._send(login, request)
        except AngelFailure as failure:
            if not failure.is_session_over:
                raise
            login = self._current_login(refused=login.credentials)
            response = self._send(login, request)
        login.is_proven = True
        return response

    def _send(self, login: _Login, request: Request) -> dict[str, Any]:
        with self._requests.slot(SLOT_TIMEOUT_SECONDS):
            return request(login.client)

    def _current_login(self, refused: StreamCredentials | None = None) -> _Login:
        """Return a login whose credentials differ from the refused ones."""
        failures = self._failures
        if login := self._usable(refused):
            return login
        if not self._lock.acquire(timeout=SIGN_IN_TIMEOUT_SECONDS):
            raise SourceUnavailable("the sign-in to Angel One takes too long")
        try:
            if login := self._usable(refused):
                return login
            if self._current and self._current.credentials == refused:
                self._current.is_over = True
            if self._failure and self._failures != failures:
                # While this thread waited for the lock, another one tried and failed.
                raise copy.copy(self._failure)
            return self._sign_in()
        finally:
            self._lock.release()

    def _usable(self, refused: StreamCredentials | None) -> _Login | None:
        login = self._current
        if login is None or login.is_over or login.credentials == refused:
            return None
        return login if login.day == _vendor_day(self._clock.now()) else None

    def _sign_in(self) -> _Login:
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
        self._current = _Login(
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
                    "Angel One refused a session that had just begun", retry_after=left
                )

    def _log_in(self) -> SmartClient:
        from app.market_data.providers.angel_one.client import SmartClient

        client = SmartClient(self._transport, self._api_key.get_secret_value())
        with self._logins.slot(SLOT_TIMEOUT_SECONDS), self._requests.slot(SLOT_TIMEOUT_SECONDS):
            if (left := self._code_seconds_left()) < CODE_MARGIN_SECONDS:
                time.sleep(left)
            now = self._clock.now()
            last_code, self._last_code = self._last_code, self._totp.timecode(now)
            try:
                client.sign_in(
                    self._client_code.get_secret_value(),
                    self._password.get_secret_value(),
                    self._totp.at(now),
                )
            except AngelFailure as failure:
                was_used = last_code == self._last_code
                raise self._classify(failure, code_was_used=was_used) from None
        return client

    def _code_seconds_left(self) -> float:
        interval = self._totp.interval
        return interval - self._clock.now().timestamp() % interval

    def _classify(self, failure: AngelFailure, *, code_was_used: bool) -> SourceError:
        """Return the error of a failed login: temporary, one more attempt later, or final."""
        if not _is_definite(failure):
            return failure
        advice = f"{failure}; {ADVICE.get(failure.code, OTHER_ADVICE)}"
        if failure.code != WRONG_CODE or (self._had_second_chance and not code_was_used):
            self._refusal = SourceRefused(f"{advice}, then restart the server")
            logger.error("Angel One rejected the credentials: %s", self._refusal)
            return self._refusal
        # A code is valid once. It was used here or, after a restart, by the previous process.
        if code_was_used:
            wait = self._code_seconds_left()
        else:
            self._had_second_chance = True
            wait = random.uniform(*SECOND_CHANCE_SECONDS)
            logger.error("Angel One refused the sign-in; one retry in %.0f s: %s", wait, advice)
        self._not_before = self._clock.monotonic() + wait
        return SourceUnavailable(advice, retry_after=wait)


def _is_definite(failure: AngelFailure) -> bool:
    if failure.code in ADVICE:
        return True
    is_temporary = failure.code in TRY_LATER or failure.is_session_over or failure.status >= 500
    return bool(failure.code) and not is_temporary


def _vendor_day(time: datetime) -> date:
    # Every session ends at midnight in India.
    return time.astimezone(IST).date()
