"""The session with Angel One: one login a day, one more after its end, and no login loop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.market_data.instruments.registry import load_instruments
from app.market_data.providers.angel_one.responses import AngelFailure
from app.market_data.providers.angel_one.session import StreamCredentials
from app.market_data.providers.angel_one.source import AngelOneSource
from app.market_data.providers.base import SourceError, SourceRefused, SourceUnavailable
from config import Settings
from tests.fakes.angel_one import API_KEY, CLIENT_CODE, FakeAngelOne
from tests.fakes.failures import Failure
from tests.support.angel_one import unthrottled_session, unthrottled_source
from tests.support.market import ManualClock

SESSION_OVER = ("AG8001", "AG8002", "AG8003", "AB1010", "AB1011", "AB8050", "AB8051")
NIFTY_50 = load_instruments().get("^NSEI")
MakeSource = Callable[..., AngelOneSource]


@pytest.fixture
def make_source(
    angel: FakeAngelOne, clock: ManualClock, make_settings: Callable[..., Settings]
) -> Iterator[MakeSource]:
    """Make sources without a throttle, with the account's credentials or others."""
    with angel.serve() as root:

        def make(**variables: str) -> AngelOneSource:
            settings = make_settings(**{**angel.variables(root), **variables})
            return unthrottled_source(settings, clock)

        yield make


@pytest.fixture
def source(make_source: MakeSource) -> AngelOneSource:
    return make_source()


def fetch_at_once(source: AngelOneSource, threads: int = 8) -> list[object]:
    """Fetch in several threads at the same time; return the result or error of each."""
    outcomes: list[object] = []
    barrier = threading.Barrier(threads)

    def fetch() -> None:
        barrier.wait()
        try:
            outcomes.extend(source.fetch([NIFTY_50]))
        except SourceError as error:
            outcomes.append(error)

    running = [threading.Thread(target=fetch) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return outcomes


def test_eight_threads_share_one_login(source: AngelOneSource, angel: FakeAngelOne) -> None:
    angel.login_delay = 0.3

    outcomes = fetch_at_once(source)

    assert not [outcome for outcome in outcomes if isinstance(outcome, SourceError)]
    assert len(outcomes) == 8
    assert angel.count("login") == 1


def test_a_failed_login_fails_for_every_waiting_thread(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    angel.login_delay = 0.3
    angel.fail("login", "AB1004")

    outcomes = fetch_at_once(source)

    assert [type(outcome) for outcome in outcomes] == [AngelFailure] * 8
    assert angel.count("login") == 1


def test_a_session_is_kept_until_midnight_in_india(
    source: AngelOneSource, angel: FakeAngelOne, clock: ManualClock
) -> None:
    source.fetch([NIFTY_50])
    # 09:30 to 23:59 in India.
    clock.advance(14.5 * 3600 - 60)
    source.fetch([NIFTY_50])
    assert angel.count("login") == 1

    clock.advance(120)
    source.fetch([NIFTY_50])
    assert angel.count("login") == 2


@pytest.mark.parametrize("code", SESSION_OVER)
def test_after_the_end_of_a_session_one_login_precedes_the_retry(
    source: AngelOneSource, angel: FakeAngelOne, code: str
) -> None:
    source.fetch([NIFTY_50])
    angel.fail("quote", code, times=1)

    assert source.fetch([NIFTY_50])

    assert [request.route for request in angel.requests] == [
        *("login", "quote"),
        *("quote", "login", "quote"),
    ]
    assert angel.requests[2].body == angel.requests[4].body
    assert angel.requests[2].headers["Authorization"] != angel.requests[4].headers["Authorization"]


def test_the_first_session_may_end_immediately(source: AngelOneSource, angel: FakeAngelOne) -> None:
    angel.fail("quote", "AG8001", times=1)

    assert source.fetch([NIFTY_50])
    assert angel.count("login") == 2


def test_eight_threads_share_one_login_after_the_end_of_a_session(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    source.fetch([NIFTY_50])
    angel.expire_sessions()
    angel.login_delay = 0.3

    outcomes = fetch_at_once(source)

    assert not [outcome for outcome in outcomes if isinstance(outcome, SourceError)]
    assert angel.count("login") == 2


def test_sessions_that_end_immediately_cause_no_login_loop(
    source: AngelOneSource, angel: FakeAngelOne, clock: ManualClock
) -> None:
    source.fetch([NIFTY_50])
    angel.fail("quote", "AG8001")

    for _ in range(5):
        with pytest.raises(SourceUnavailable):
            source.fetch([NIFTY_50])
    assert angel.count("login") == 2
    # A session that is known to be over is not used.
    assert angel.count("quote") == 4

    clock.advance(61)
    angel.recover()
    assert source.fetch([NIFTY_50])
    assert angel.count("login") == 3


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ANGEL_PASSWORD": "another-pin"}, "AB1007.*correct ANGEL_CLIENT_CODE and ANGEL_PASSWORD"),
        ({"ANGEL_API_KEY": "another-key"}, "AG8004.*correct ANGEL_API_KEY"),
    ],
)
def test_wrong_credentials_are_tried_and_logged_once(
    make_source: MakeSource,
    angel: FakeAngelOne,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    variables: dict[str, str],
    words: str,
) -> None:
    source = make_source(**variables)

    for _ in range(3):
        with pytest.raises(SourceRefused, match=words):
            source.fetch([NIFTY_50])
        clock.advance(3600)
    with pytest.raises(SourceRefused):
        source.session.credentials()

    assert len(angel.requests) == 1
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 1


def test_eight_threads_with_wrong_credentials_make_one_login(
    make_source: MakeSource, angel: FakeAngelOne
) -> None:
    angel.login_delay = 0.3

    outcomes = fetch_at_once(make_source(ANGEL_PASSWORD="another-pin"))

    assert [type(outcome) for outcome in outcomes] == [SourceRefused] * 8
    assert angel.count("login") == 1


def test_an_unknown_error_code_of_a_login_is_final(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    angel.fail("login", "AB1006")

    for _ in range(3):
        with pytest.raises(SourceRefused, match="AB1006: Refused with AB1006"):
            source.fetch([NIFTY_50])
    assert angel.count("login") == 1


def test_a_wrong_totp_secret_has_one_late_retry_and_is_then_final(
    make_source: MakeSource, angel: FakeAngelOne, clock: ManualClock
) -> None:
    source = make_source(ANGEL_TOTP_SECRET="ANOTHERKEYFORTESTSABCDEF")

    for _ in range(3):
        with pytest.raises(SourceUnavailable, match=r"AB1050|refused the last sign-in") as held:
            source.fetch([NIFTY_50])
        assert held.value.retry_after is not None
        assert held.value.retry_after >= 20
        clock.advance(20)
    assert angel.count("login") == 1

    clock.advance(300)
    for _ in range(3):
        with pytest.raises(SourceRefused, match=r"ANGEL_TOTP_SECRET.*machine's clock"):
            source.fetch([NIFTY_50])
        clock.advance(3600)
    assert angel.count("login") == 2


def test_a_restart_within_half_a_minute_recovers_from_the_used_code(
    make_source: MakeSource, angel: FakeAngelOne, clock: ManualClock
) -> None:
    angel.codes_count_once = True
    make_source().fetch([NIFTY_50])
    restarted = make_source()

    with pytest.raises(SourceUnavailable):
        restarted.fetch([NIFTY_50])
    clock.advance(300)

    assert restarted.fetch([NIFTY_50])


def test_a_used_code_is_not_sent_again(
    source: AngelOneSource, angel: FakeAngelOne, clock: ManualClock
) -> None:
    angel.codes_count_once = True
    clock.advance(10)
    source.fetch([NIFTY_50])
    angel.expire_sessions()

    for _ in range(3):
        with pytest.raises(SourceUnavailable) as held:
            source.fetch([NIFTY_50])
    assert held.value.retry_after == pytest.approx(20)
    assert angel.count("login") == 2

    clock.advance(20)
    assert source.fetch([NIFTY_50])
    assert angel.count("login") == 3


@pytest.mark.parametrize(
    "how", ["AB1004", "AB2001", Failure.SERVER_ERROR, Failure.ACCESS_RATE, Failure.OTHER_JSON]
)
def test_a_login_recovers_from_a_temporary_failure(
    source: AngelOneSource, angel: FakeAngelOne, how: str
) -> None:
    angel.fail("login", how, times=1)

    with pytest.raises(SourceUnavailable):
        source.fetch([NIFTY_50])

    assert source.fetch([NIFTY_50])


def test_a_code_about_to_expire_is_not_sent(
    angel: FakeAngelOne, make_settings: Callable[..., Settings]
) -> None:
    class LateClock(ManualClock):
        """Runs in real time, from half a second before a code expires."""

        def __init__(self) -> None:
            import time

            super().__init__(datetime(2026, 11, 23, 4, 0, 29, 500_000, tzinfo=UTC))
            self._began, self._monotonic = time.monotonic(), time.monotonic

        def monotonic(self) -> float:
            return self._monotonic() - self._began

        def now(self) -> datetime:
            self._elapsed = self.monotonic()
            return super().now()

    clock = LateClock()
    # This server is slow to read a request.
    angel = FakeAngelOne(now=clock.now)
    angel.login_delay = 0.6
    with angel.serve() as root:
        settings = make_settings(**angel.variables(root))
        unthrottled_session(settings, clock).credentials()
    assert angel.count("login") == 1


def test_a_stream_gets_the_tokens_of_the_session(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    credentials = source.session.credentials()

    assert (credentials.api_key, credentials.client_code) == (API_KEY, CLIENT_CODE)
    assert angel.sessions() == {credentials.jwt_token: credentials.feed_token}
    assert source.session.credentials() == credentials
    assert source.fetch([NIFTY_50])
    assert angel.count("login") == 1


def test_a_refused_stream_gets_new_tokens_once(source: AngelOneSource, angel: FakeAngelOne) -> None:
    stale = source.session.credentials()
    angel.expire_sessions()

    fresh = source.session.renew(stale)

    assert fresh != stale
    assert angel.sessions() == {fresh.jwt_token: fresh.feed_token}
    # A second caller with the same stale credentials gets the new ones.
    assert source.session.renew(stale) == fresh
    assert angel.count("login") == 2
    with pytest.raises(SourceUnavailable):
        source.session.renew(fresh)
    assert angel.count("login") == 2


def test_credentials_show_no_secret() -> None:
    shown = repr(StreamCredentials("key", "code", "jwt", "feed"))

    assert shown == "StreamCredentials()"


MESSAGES_OF_AN_END: list[dict[str, Any] | str] = [
    {"status": False, "message": "Invalid Token", "errorcode": "", "data": None},
    {"success": False, "message": "invalid token", "errorCode": None, "data": ""},
    {"success": False, "message": "Token is expired"},
    {"status": False, "message": "Your session has expired", "errorcode": ""},
    {"status": False, "message": "no", "errorcode": "ag8001"},
    {"status": False, "message": "no", "error_code": "AB1010"},
    {"status": False, "message": "no", "errorCode": " ab8050 "},
    "Invalid Token",
]


@pytest.mark.parametrize("answer", MESSAGES_OF_AN_END)
@pytest.mark.parametrize("status", [200, 400, 403])
def test_a_message_without_a_code_can_end_a_session(
    source: AngelOneSource, angel: FakeAngelOne, answer: dict[str, Any] | str, status: int
) -> None:
    source.fetch([NIFTY_50])
    angel.say("quote", answer, status, times=1)

    assert source.fetch([NIFTY_50])
    assert angel.count("login") == 2


def test_a_repeated_message_causes_no_login_loop(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    source.fetch([NIFTY_50])
    angel.say("quote", MESSAGES_OF_AN_END[0])

    for _ in range(5):
        with pytest.raises(SourceUnavailable):
            source.fetch([NIFTY_50])
    assert angel.count("login") == 2


@pytest.mark.parametrize(
    "message", ["Invalid symboltoken", "Symbol Token is invalid", "Invalid totp", "Try again later"]
)
def test_other_messages_do_not_end_a_session(
    source: AngelOneSource, angel: FakeAngelOne, message: str
) -> None:
    source.fetch([NIFTY_50])
    angel.say("quote", {"status": False, "message": message, "errorcode": ""}, times=1)

    with pytest.raises(SourceUnavailable):
        source.fetch([NIFTY_50])
    assert angel.count("login") == 1
