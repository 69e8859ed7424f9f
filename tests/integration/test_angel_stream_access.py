"""Connections to Angel One's stream: credentials, retries and certificates."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.market_data.providers.angel_one.connection import Timing
from app.market_data.providers.angel_one.stream_tokens import StreamTokens
from app.market_data.providers.base import SourceRefused, SourceUnavailable
from tests.fakes.angel_stream import AngelStreamServer
from tests.fakes.smtp import make_certificate
from tests.support.live import eventually
from tests.support.server import free_port
from tests.support.stream import (
    CREDENTIALS,
    FAST_RETRIES,
    FRESH,
    NIFTY,
    RELIANCE,
    SECRET,
    Session,
    StreamFactory,
    accept,
    shares,
    warnings,
)

needs_openssl = pytest.mark.needs("openssl")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_an_unreachable_server_is_retried(
    streams: StreamFactory, stream_session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    stream_server = AngelStreamServer(port=free_port())
    accept(stream_server, CREDENTIALS)
    streams.follow(stream_server.url, stream_session, [NIFTY])
    eventually(lambda: stream_session.requests >= 5)

    with stream_server.open():
        eventually(lambda: stream_server.answered)
        # Logged once, however many retries there were.
        assert warnings(caplog) == [
            "Angel One's stream is down, prices are polled: "
            "the connection failed: Connection refused"
        ]


def test_the_pause_before_a_retry_doubles_up_to_30_seconds() -> None:
    pauses = [Timing().longest_pause(failures) for failures in range(1, 9)]

    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert Timing().longest_pause(10**6) == 30


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_renewed_once(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session, status: int
) -> None:
    stream_server.refuse_wrong_credentials_with = status
    accept(stream_server, FRESH)
    streams.follow(stream_server.url, stream_session, [NIFTY])

    eventually(lambda: stream_server.answered)
    assert stream_session.refused == [CREDENTIALS]
    assert [answer for answer, _ in stream_server.handshakes] == [status, 101]


def test_credentials_refused_repeatedly_are_renewed_once(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream_server.refuse_with = 403
    streams.follow(stream_server.url, stream_session, [NIFTY])

    eventually(lambda: len(stream_server.handshakes) >= 8)
    assert stream_session.refused == [CREDENTIALS]


def test_credentials_that_another_task_renewed_are_used(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream_server.refuse_with = 401
    streams.follow(stream_server.url, stream_session, [NIFTY])
    eventually(lambda: len(stream_server.handshakes) >= 3)

    stream_server.refuse_with = None
    accept(stream_server, stream_session.fresh)

    eventually(lambda: stream_server.answered)
    assert len(stream_session.refused) == 1


def test_credentials_renewed_for_one_connection_serve_the_others(stream_session: Session) -> None:
    access = StreamTokens(stream_session, SystemClock(), renewal_seconds=600)

    # Three connections report the same refused credentials, one after another.
    assert [access.replace(CREDENTIALS) for _ in range(3)] == [FRESH] * 3
    assert stream_session.refused == [CREDENTIALS]

    assert access.replace(FRESH) is None


def test_rejected_credentials_are_requested_once(stream_session: Session) -> None:
    stream_session.error = SourceRefused("no")
    access = StreamTokens(stream_session, SystemClock(), renewal_seconds=600)

    for _ in range(3):
        with pytest.raises(SourceRefused, match="no"):
            access.credentials()

    assert stream_session.requests == 1


def test_a_rate_limit_does_not_renew_the_credentials(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream_server.refuse_with = 403
    stream_server.refusal = (b"Access denied because of exceeding access rate", {})
    streams.follow(stream_server.url, stream_session, [NIFTY])

    eventually(lambda: len(stream_server.handshakes) >= 3)
    assert stream_session.refused == []


def test_a_server_that_asks_for_a_pause_gets_it(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream_server.refuse_with = 503
    stream_server.refusal = (b"", {"retry-after": "1"})
    streams.follow(stream_server.url, stream_session, [NIFTY])
    eventually(lambda: stream_server.handshakes)
    began = time.monotonic()

    eventually(lambda: len(stream_server.handshakes) == 2)
    assert time.monotonic() - began > 0.9


def test_no_other_server_gets_the_credentials(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    with AngelStreamServer().open() as elsewhere:
        stream_server.refuse_with = 302
        stream_server.refusal = (b"", {"location": elsewhere.url})
        streams.follow(stream_server.url, stream_session, [NIFTY])

        eventually(lambda: len(stream_server.handshakes) >= 3)
        assert elsewhere.connections == 0


def test_wrong_credentials_end_the_stream_and_are_logged_once(
    stream_server: AngelStreamServer,
    streams: StreamFactory,
    stream_session: Session,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream_session.error = SourceRefused("Angel One does not know ANGEL_CLIENT_CODE (AB1007).")
    # All three connections end, and only one requested credentials.
    before = threading.active_count()
    stream, _ = streams.follow(stream_server.url, stream_session, shares(2_500))
    eventually(lambda: warnings(caplog))

    stream_session.error = None
    stream.follow([NIFTY, RELIANCE])

    eventually(lambda: threading.active_count() <= before)
    assert (stream_session.requests, stream_server.connections) == (1, 0)
    assert warnings(caplog) == [
        "Angel One's stream is off until the next start: "
        "Angel One does not know ANGEL_CLIENT_CODE (AB1007)."
    ]


def test_an_unavailable_session_is_requested_again_later(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream_session.error = SourceUnavailable("Angel One did not answer in time.")
    streams.follow(stream_server.url, stream_session, [NIFTY])
    eventually(lambda: stream_session.requests >= 3)

    stream_session.error = None

    eventually(lambda: stream_server.answered)


def test_an_unexpected_error_of_the_session_does_not_end_the_stream(
    stream_server: AngelStreamServer,
    streams: StreamFactory,
    stream_session: Session,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # A defect whose text contains a secret.
    stream_session.error = ValueError(f"bad header {SECRET}")
    streams.follow(stream_server.url, stream_session, [NIFTY])
    eventually(lambda: stream_session.requests >= 3)

    stream_session.error = None

    eventually(lambda: stream_server.answered)
    assert warnings(caplog) == [
        "Angel One's stream is down, prices are polled: ValueError, which is a defect here"
    ]


@needs_openssl
def test_tls_is_verified_against_the_trusted_certificates(
    certificate: tuple[Path, Path],
    streams: StreamFactory,
    stream_session: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    stream_server = AngelStreamServer(certificate=certificate)
    accept(stream_server, CREDENTIALS)
    with stream_server.open():
        _, listener = streams.follow(stream_server.url, stream_session, [RELIANCE])
        eventually(lambda: stream_server.subscribed)
        stream_server.tick(RELIANCE.angel_token, 140_005)
        listener.wait_for(lambda: listener.prices("RELIANCE.NS") == ["1400.05"])


@needs_openssl
@pytest.mark.parametrize(
    ("host", "trusted", "complaint"),
    [("127.0.0.1", False, "self-signed certificate"), ("127.0.0.2", True, "IP address mismatch")],
)
def test_a_server_with_an_untrusted_certificate_gets_no_credentials(
    certificate: tuple[Path, Path],
    streams: StreamFactory,
    stream_session: Session,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    host: str,
    trusted: bool,
    complaint: str,
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with AngelStreamServer(host=host, certificate=certificate).open() as stream_server:
        streams.follow(stream_server.url, stream_session, [RELIANCE])

        eventually(lambda: stream_server.connections >= 3)
        assert stream_server.handshakes == []
        assert len(warnings(caplog)) == 1
        assert f"the certificate is not trusted: {complaint}" in warnings(caplog)[0]


@pytest.mark.parametrize("behaviour", ["mute_handshakes", "drip_handshakes"])
def test_a_slow_handshake_times_out(
    stream_server: AngelStreamServer,
    streams: StreamFactory,
    stream_session: Session,
    caplog: pytest.LogCaptureFixture,
    behaviour: str,
) -> None:
    setattr(stream_server, behaviour, True)
    timing = replace(FAST_RETRIES, handshake=0.3)
    streams.follow(stream_server.url, stream_session, [NIFTY], timing)
    eventually(lambda: stream_server.connections >= 3)
    assert warnings(caplog)

    setattr(stream_server, behaviour, False)

    eventually(lambda: stream_server.answered)


def test_a_stream_closes_immediately_during_a_handshake(
    stream_server: AngelStreamServer, streams: StreamFactory, stream_session: Session
) -> None:
    stream_server.mute_handshakes = True
    stream, _ = streams.follow(stream_server.url, stream_session, [NIFTY], Timing())
    eventually(lambda: stream_server.clients)

    began = time.monotonic()
    stream.close()

    # Otherwise it would have waited for 2 seconds.
    assert time.monotonic() - began < 1.9
    assert stream_server.connections == 1


def test_following_never_waits_for_the_network(stream_session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf, StreamFactory().until_the_end() as streams:
        url = f"ws://127.0.0.1:{deaf.getsockname()[1]}"
        stream, _ = streams.follow(url, stream_session, [NIFTY], Timing(handshake=1))
        began = time.monotonic()
        for _ in range(100):
            stream.follow([NIFTY])
            stream.follow([RELIANCE])
            assert not stream.is_live("^NSEI")
        assert time.monotonic() - began < 20
