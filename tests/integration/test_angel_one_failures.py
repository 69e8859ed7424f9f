"""Failures of Angel One: each is one of our errors, in time, and temporary."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.candle import Interval
from app.domain.errors import MarketDataUnavailable
from app.market_data.feed import CandlesRefused
from app.market_data.feeds.live import LiveFeed
from app.market_data.instruments.registry import load_instruments
from app.market_data.providers.angel_one.responses import AngelFailure
from app.market_data.providers.angel_one.source import AngelOneSource
from app.market_data.providers.angel_one.transport import Transport
from app.market_data.providers.base import SourceUnavailable
from app.market_data.providers.resilience import ResilientSource
from config import Settings
from tests.fakes.angel_one import FakeAngelOne
from tests.fakes.failures import Failure
from tests.fakes.smtp import make_certificate
from tests.support.angel_one import unthrottled_source
from tests.support.market import ManualClock
from tests.support.server import free_port

NIFTY_50 = load_instruments().get("^NSEI")
TIMEOUT = 0.5
PROFILE = "/rest/secure/angelbroking/user/v1/getProfile"
MakeSource = Callable[[str], AngelOneSource]


@pytest.fixture
def root(angel: FakeAngelOne) -> Iterator[str]:
    with angel.serve() as root:
        yield root


@pytest.fixture
def make_source(
    angel: FakeAngelOne, clock: ManualClock, make_settings: Callable[..., Settings]
) -> MakeSource:
    """Make a source without a throttle for the server at a URL."""

    def make(root: str) -> AngelOneSource:
        return unthrottled_source(make_settings(**angel.variables(root)), clock)

    return make


MESSAGES = {
    Failure.ACCESS_RATE: "too many a second",
    Failure.SERVER_ERROR: r"not a JSON object \(HTTP 502\)",
    Failure.GARBAGE: r"not a JSON object \(HTTP 200\)",
    Failure.OTHER_JSON: "without quotes",
    Failure.ECHO: r"AB9999: .*\[secret\]",
    Failure.REDIRECT: r"\(HTTP 302\); is ANGEL_ROOT_URL right\?",
    Failure.HUGE: "more than 4,194,304 bytes",
    Failure.RESET: "broke the connection",
    "AB1004": "AB1004: Something Went Wrong",
    "AG8004": "AG8004: Invalid API Key",
    "AB4046": "AB4046: Refused with AB4046",
}


@pytest.mark.parametrize("how", MESSAGES)
def test_quotes_are_unavailable_during_a_failure_and_then_recover(
    make_source: MakeSource, angel: FakeAngelOne, root: str, how: str
) -> None:
    source = make_source(root)
    angel.fail("quote", how, times=1)

    with pytest.raises(SourceUnavailable, match=MESSAGES[how]):
        source.fetch([NIFTY_50])

    assert source.fetch([NIFTY_50])
    assert [request.route for request in angel.requests] == ["login", "quote", "quote"]


@pytest.mark.parametrize("how", MESSAGES)
def test_candles_are_unavailable_during_a_failure_and_then_recover(
    make_source: MakeSource, angel: FakeAngelOne, root: str, clock: ManualClock, how: str
) -> None:
    source = make_source(root)
    since = clock.now() - timedelta(hours=1)
    angel.fail("candles", how, times=1)

    with pytest.raises(SourceUnavailable):
        source.candles(NIFTY_50, Interval.MINUTE, since, clock.now())

    assert source.candles(NIFTY_50, Interval.MINUTE, since, clock.now()) == []


def test_the_gateways_rate_limit_sets_retry_after(
    make_source: MakeSource, angel: FakeAngelOne, root: str
) -> None:
    angel.requests_a_second = 1
    source = make_source(root)

    with pytest.raises(SourceUnavailable) as refusal:
        source.fetch([NIFTY_50])

    assert refusal.value.retry_after == 1


@pytest.mark.parametrize(
    ("code", "is_over"), [("AB1010", True), ("AG8001", True), ("AB1004", False)]
)
def test_both_json_shapes_of_a_failure_are_understood(
    make_source: MakeSource, angel: FakeAngelOne, root: str, code: str, is_over: bool
) -> None:
    source = make_source(root)
    angel.fail("quote", code)

    with pytest.raises(AngelFailure) as failure:
        source.fetch([NIFTY_50])

    assert failure.value.code == code
    assert failure.value.is_session_over is is_over


@pytest.mark.parametrize("how", [Failure.HANG, Failure.DRIP])
def test_an_answer_that_does_not_end_times_out(
    angel: FakeAngelOne, root: str, how: Failure
) -> None:
    transport = Transport(root)
    angel.fail("profile", how)
    began = time.monotonic()

    with pytest.raises(SourceUnavailable, match="did not answer in time"):
        transport.exchange("GET", PROFILE, {}, None, TIMEOUT)

    assert 0.4 < time.monotonic() - began < 8


def test_a_call_whose_headers_never_end_is_abandoned_in_time(
    make_source: MakeSource, angel: FakeAngelOne, root: str, clock: ManualClock
) -> None:
    source = make_source(root)
    source.fetch([NIFTY_50])
    upstream = ResilientSource(source, clock, probe_seconds=30, fetch_seconds=3)
    angel.fail("quote", Failure.DRIP_HEADERS)
    began = time.monotonic()

    with pytest.raises(SourceUnavailable, match="angel_one did not answer in 3 s"):
        upstream.fetch([NIFTY_50])
    assert time.monotonic() - began < 20

    # The call ends with its connection, and other calls succeed.
    angel.recover()
    angel.drop_connections()
    assert upstream.fetch([NIFTY_50])


def test_a_kept_connection_has_the_full_time_for_each_request(
    angel: FakeAngelOne, root: str
) -> None:
    transport = Transport(root)
    for _ in range(3):
        transport.exchange("GET", PROFILE, {}, None, TIMEOUT)
        time.sleep(0.3)

    assert angel.connections == 1


def test_a_fetch_ends_within_seconds_if_the_vendor_hangs(
    make_source: MakeSource, angel: FakeAngelOne, root: str
) -> None:
    source = make_source(root)
    angel.fail("quote", Failure.HANG)
    began = time.monotonic()

    with pytest.raises(SourceUnavailable, match="did not answer in time"):
        source.fetch([NIFTY_50])

    assert time.monotonic() - began < 20


def test_an_unreachable_vendor_is_unavailable(make_source: MakeSource) -> None:
    source = make_source(f"http://127.0.0.1:{free_port()}")

    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        source.fetch([NIFTY_50])


def test_a_path_in_the_root_url_is_kept(angel: FakeAngelOne, root: str) -> None:
    Transport(f"{root}/folder/").exchange("GET", PROFILE, {}, None, TIMEOUT)

    assert angel.requests[0].path == f"/folder{PROFILE}"


def test_a_netrc_file_does_not_replace_the_token(
    make_source: MakeSource,
    angel: FakeAngelOne,
    root: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    assert make_source(root).fetch([NIFTY_50])


@pytest.mark.needs("openssl")
def test_a_server_without_a_trusted_certificate_receives_nothing(
    make_source: MakeSource,
    angel: FakeAngelOne,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate, key = make_certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    with angel.serve(tls) as root:
        source = make_source(root)
        with pytest.raises(SourceUnavailable, match="certificate"):
            source.fetch([NIFTY_50])
        assert angel.requests == []

        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert source.fetch([NIFTY_50])


REFUSALS: list[tuple[dict[str, Any] | str, int]] = [
    ("", 403),
    ("Forbidden", 403),
    ({"status": False, "message": "Forbidden", "errorcode": ""}, 403),
    ({"status": False, "message": "No", "errorcode": "AB9999"}, 200),
    ({"status": False, "message": "You are not subscribed to this API", "errorcode": ""}, 200),
]


@pytest.mark.parametrize(("answer", "status"), REFUSALS)
def test_refused_candles_are_not_requested_again_that_day(
    make_source: MakeSource,
    angel: FakeAngelOne,
    root: str,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    answer: dict[str, Any] | str,
    status: int,
) -> None:
    upstream = ResilientSource(make_source(root), clock, probe_seconds=30)
    feed = LiveFeed([upstream], load_instruments(), clock, interval_seconds=10)
    angel.say("candles", answer, status)

    for _ in range(5):
        since = clock.now() - timedelta(minutes=5)
        with pytest.raises(CandlesRefused):
            feed.candles("^NSEI", since, clock.now())
        clock.advance(60)
    assert angel.count("candles") == 1
    assert upstream.fetch([NIFTY_50])
    assert (
        len([message for message in caplog.messages if "candle requests stop for today" in message])
        == 1
    )

    clock.advance(86_400)
    angel.recover()
    assert feed.candles("^NSEI", clock.now() - timedelta(minutes=5), clock.now()) == []


@pytest.mark.parametrize("how", [Failure.ACCESS_RATE, Failure.SERVER_ERROR, "AB1004"])
def test_candles_are_requested_again_after_a_temporary_failure(
    make_source: MakeSource, angel: FakeAngelOne, root: str, clock: ManualClock, how: str
) -> None:
    upstream = ResilientSource(make_source(root), clock, probe_seconds=30)
    feed = LiveFeed([upstream], load_instruments(), clock, interval_seconds=10)
    angel.fail("candles", how, times=2)
    since = clock.now() - timedelta(minutes=5)

    with pytest.raises(MarketDataUnavailable) as error:
        feed.candles("^NSEI", since, clock.now())

    assert not isinstance(error.value, CandlesRefused)
    clock.advance(60)
    angel.recover()
    assert feed.candles("^NSEI", since, clock.now()) == []
