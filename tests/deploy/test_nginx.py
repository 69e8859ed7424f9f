"""deploy/nginx.conf: TLS, limits, retries and errors. The upstreams are plain HTTP servers."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.support.nginx import Nginx
from tests.support.raw_http import RawConnection, RawResponse
from tests.support.server import free_port
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.needs("nginx"), pytest.mark.needs("openssl")]

GET = b"GET /market/symbols HTTP/1.1\r\nHost: trading.example.com\r\n\r\n"


class TlsConnection(RawConnection):
    """A connection from an address of loopback, by TLS of any version that OpenSSL has."""

    def __init__(
        self, nginx: Nginx, source: str = "127.0.0.1", version: ssl.TLSVersion | None = None
    ) -> None:
        super().__init__(nginx.port, source)
        context = ssl.create_default_context(cafile=str(nginx.certificate))
        if version:
            # Without it OpenSSL itself refuses versions before 1.2.
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")


@pytest.fixture
def one() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def other() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def nginx(tmp_path: Path, one: Upstream, other: Upstream) -> Iterator[Nginx]:
    """nginx in front of two upstreams."""
    nginx = Nginx(tmp_path, [one.port, other.port]).start()
    yield nginx
    nginx.stop()


def check_error(response: requests.Response | RawResponse, status: int, code: str) -> None:
    """Check that an error of nginx has the format of the API."""
    body = response.json()
    actual = response.status_code if isinstance(response, requests.Response) else response.status
    assert (actual, body["code"], body["details"]) == (status, code, {})
    assert body["error"].endswith(".")
    headers = {name.lower(): value for name, value in response.headers.items()}
    assert headers["content-type"] == "application/json"
    assert body["request_id"] == headers["x-request-id"]


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    said = Nginx(tmp_path, [5001, 5002]).check()

    assert "test is successful" in said
    assert "warn" not in said


def test_nothing_older_than_tls_1_2_is_spoken(nginx: Nginx) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with TlsConnection(nginx, version=version) as connection:
            assert connection.send(GET).answer().status == 200
    with (
        pytest.warns(DeprecationWarning, match="TLSv1_1"),
        pytest.raises((ssl.SSLError, ConnectionResetError)),
        TlsConnection(nginx, version=ssl.TLSVersion.TLSv1_1),
    ):
        pass


def test_reads_without_tls_are_redirected_and_everything_else_is_refused(
    nginx: Nginx, one: Upstream, other: Upstream
) -> None:
    url = f"http://127.0.0.1:{nginx.http_port}/auth/login?a=b"

    read = requests.get(url, timeout=10, allow_redirects=False)
    sent = requests.post(url, json={"password": "x"}, timeout=10, allow_redirects=False)

    assert (read.status_code, read.headers["Location"]) == (308, "https://127.0.0.1/auth/login?a=b")
    check_error(sent, 403, "tls_required")
    assert one.received + other.received == []


def test_the_address_of_a_client_is_the_one_it_connects_from(
    nginx: Nginx, one: Upstream, other: Upstream
) -> None:
    claims = (
        b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: evil.example"
        b"\r\nX-Forwarded-Port: 1\r\nForwarded: for=192.0.2.1\r\nProxy: evil.example:80\r\n\r\n"
    )
    with TlsConnection(nginx, "127.0.0.7") as connection:
        assert connection.send(GET.removesuffix(b"\r\n") + claims).answer().status == 200

    [(_, headers)] = one.received + other.received
    assert headers["X-Forwarded-For"] == "127.0.0.7"
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["Host"] == "trading.example.com"
    assert headers.keys().isdisjoint({"X-Forwarded-Host", "X-Forwarded-Port", "Forwarded", "Proxy"})


def test_a_read_that_a_process_drops_is_repeated_at_another_one_and_a_write_is_not(
    nginx: Nginx, one: Upstream, other: Upstream
) -> None:
    one.breaks_off = True
    other.breaks_off = True

    for method, times in (("GET", 2), ("POST", 1), ("PATCH", 1)):
        failed = nginx.request(method, "/trades/create")
        check_error(failed, 503, "server_busy")
        assert failed.headers["Retry-After"] == "2"
        assert [name for name, _ in one.received + other.received] == [method] * times
        one.received.clear()
        other.received.clear()

    one.breaks_off = False
    assert nginx.request("GET", "/market/symbols").status_code == 200


def test_a_write_that_no_process_has_received_goes_to_another_one(
    tmp_path: Path, one: Upstream
) -> None:
    nginx = Nginx(tmp_path, [free_port(), one.port]).start()
    try:
        statuses = [nginx.request("POST", "/trades/create").status_code for _ in range(4)]
    finally:
        nginx.stop()

    assert statuses == [200] * 4
    assert len(one.received) == 4


def test_what_is_too_large_is_refused_in_the_format_of_the_api(
    nginx: Nginx, one: Upstream, other: Upstream
) -> None:
    header = b"X-Large: " + b"x" * 9_000 + b"\r\n\r\n"
    address = b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"

    check_error(nginx.request("POST", "/trades/create", data=b"x" * 65_537), 413, "body_too_large")
    for request in (GET.removesuffix(b"\r\n") + header, address):
        with TlsConnection(nginx) as connection:
            check_error(connection.send(request).answer(), 431, "headers_too_large")
    with TlsConnection(nginx) as connection:
        check_error(connection.send(b"GET / HTTP/1.1\r\n\r\n").answer(), 400, "malformed_request")
    assert one.received + other.received == []


def test_an_address_that_asks_too_often_is_slowed_down_and_others_are_not(nginx: Nginx) -> None:
    with ExitStack() as stack:
        flood = [stack.enter_context(TlsConnection(nginx, "127.0.0.9")) for _ in range(40)]
        # At once: a busy machine would not exceed the limit with one after the other.
        for connection in flood:
            connection.send(10 * GET)
        answers = [connection.answer() for connection in flood for _ in range(10)]
    refused = [answer for answer in answers if answer.status != 200]

    # A burst of 100, and 20 a second for as long as the machine takes.
    assert 100 <= len(answers) - len(refused) < len(answers)
    for answer in refused:
        check_error(answer, 429, "rate_limited")
        assert answer.headers["retry-after"] == "1"
    with TlsConnection(nginx, "127.0.0.10") as connection:
        assert connection.send(GET).answer().status == 200


def test_an_address_has_50_connections_at_most(
    nginx: Nginx, one: Upstream, other: Upstream
) -> None:
    one.may_answer.clear()
    other.may_answer.clear()
    connections = [TlsConnection(nginx, "127.0.0.11") for _ in range(50)]
    for connection in connections:
        connection.send(GET)
    for upstream in (one, other):
        upstream.wait_for(25)
    with TlsConnection(nginx, "127.0.0.11") as further:
        check_error(further.send(GET).answer(), 429, "rate_limited")

    one.may_answer.set()
    other.may_answer.set()
    assert [connection.answer().status for connection in connections] == [200] * 50
    for connection in connections:
        connection.socket.close()


def test_large_answers_are_compressed(nginx: Nginx) -> None:
    answer = nginx.request("GET", "/market/symbols", headers={"Accept-Encoding": "gzip"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert len(answer.json()["answer"]) == 2_000


def test_http_2_is_offered(nginx: Nginx) -> None:
    context = ssl.create_default_context(cafile=str(nginx.certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", nginx.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"
