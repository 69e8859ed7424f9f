"""Every kind of body is read in the same way in every async mode; ambiguous ones are refused."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.support.live import LiveTrader
from tests.support.raw_http import RawConnection, in_chunks, post
from tests.support.server import ServerProcess

MARGIN = b'{"initial_margin":500000}'
LIMIT = 64 * 1024


@pytest.fixture
def trader(server: ServerProcess) -> LiveTrader:
    return LiveTrader(server)


@pytest.fixture(scope="module")
def stranger(server: ServerProcess) -> LiveTrader:
    """A user without a portfolio, which no refused request may open."""
    return LiveTrader(server)


def bearer(trader: LiveTrader) -> str:
    return f"Authorization: Bearer {trader.token}"


def opened_with(connection: RawConnection) -> float:
    """Return the margin of a portfolio that was opened."""
    answer = connection.answer()
    assert answer.status == 201, answer.body
    return float(answer.json()["available_margin"])


@pytest.mark.parametrize("size", [1, 7, len(MARGIN)])
def test_a_chunked_body_is_read(server: ServerProcess, trader: LiveTrader, size: int) -> None:
    head = post("/portfolio/create", bearer(trader), "Transfer-Encoding: chunked")
    with RawConnection(server.port) as connection:
        assert opened_with(connection.send(head, in_chunks(MARGIN, size))) == 500_000


def test_a_chunked_body_with_extensions_and_trailers_is_read(
    server: ServerProcess, trader: LiveTrader
) -> None:
    head = post("/portfolio/create", bearer(trader), "Transfer-Encoding: chunked")
    body = b"%x;name=value\r\n%b\r\n0\r\nAuthorization: none\r\n\r\n" % (len(MARGIN), MARGIN)
    with RawConnection(server.port) as connection:
        assert opened_with(connection.send(head, body)) == 500_000


def test_a_body_in_several_packets_is_read(server: ServerProcess, trader: LiveTrader) -> None:
    head = post("/portfolio/create", bearer(trader), f"Content-Length: {len(MARGIN)}")
    with RawConnection(server.port) as connection:
        parts = [MARGIN[place : place + 1] for place in range(len(MARGIN))]
        assert opened_with(connection.send(head[:30], head[30:], *parts)) == 500_000


def test_a_missing_body_opens_a_portfolio_with_the_default(
    server: ServerProcess, trader: LiveTrader
) -> None:
    with RawConnection(server.port) as connection:
        assert opened_with(connection.send(post("/portfolio/create", bearer(trader)))) == 100_000


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_waits_for_100_continue_gets_it(
    server: ServerProcess, trader: LiveTrader, chunked: bool
) -> None:
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(MARGIN)}"
    head = post("/portfolio/create", bearer(trader), framing, "Expect: 100-continue")
    with RawConnection(server.port) as connection:
        assert connection.send(head).answer().status == 100
        body = in_chunks(MARGIN, 5) if chunked else MARGIN
        assert opened_with(connection.send(body)) == 500_000


@pytest.mark.parametrize(
    "options",
    [
        ["-H", "Transfer-Encoding: chunked"],
        ["-H", "Expect: 100-continue"],
        ["-H", "Expect: 100-continue", "-H", "Transfer-Encoding: chunked"],
        ["--http1.0"],
        ["--http2"],
    ],
    ids=" ".join,
)
def test_curl_opens_a_portfolio_however_it_sends_the_body(
    server: ServerProcess, trader: LiveTrader, options: list[str]
) -> None:
    curl = ["curl", "-sS", "-m", "15", f"{server.url}/portfolio/create", "-d", MARGIN.decode()]
    headers = ["-H", bearer(trader), "-H", "Content-Type: application/json"]
    answer = subprocess.run([*curl, *headers, *options], capture_output=True, check=True)

    assert json.loads(answer.stdout)["available_margin"] == 500_000


@pytest.mark.parametrize(
    "framing",
    ["Transfer-Encoding: chunked", f"Content-Length: {LIMIT + 1}", "Content-Length: 9999999999"],
)
def test_a_body_over_the_limit_is_413_whatever_carries_it(
    server: ServerProcess, stranger: LiveTrader, framing: str
) -> None:
    head = post("/portfolio/create", bearer(stranger), framing)
    body = b'{"padding":"' + b"x" * LIMIT + b'"}'
    with RawConnection(server.port) as connection:
        connection.send(head, in_chunks(body, 4_096) if "chunked" in framing else body)
        answer = connection.answer()
        assert (answer.status, answer.json()["code"]) == (413, "body_too_large")
        connection.socket.close()
    assert (
        server.request("GET", f"/portfolio/{stranger.client_id}", stranger.token).status_code == 404
    )


def test_a_body_of_the_limit_is_taken(server: ServerProcess, trader: LiveTrader) -> None:
    body = MARGIN + b" " * (LIMIT - len(MARGIN))
    head = post("/portfolio/create", bearer(trader), "Transfer-Encoding: chunked")
    with RawConnection(server.port) as connection:
        assert opened_with(connection.send(head, in_chunks(body, 1_000))) == 500_000


AMBIGUOUS = {
    "length and chunked": ("Content-Length: 25", "Transfer-Encoding: chunked"),
    "chunked and length": ("Transfer-Encoding: chunked", "Content-Length: 25"),
    "two lengths": ("Content-Length: 25", "Content-Length: 24"),
    "two equal lengths": ("Content-Length: 25", "Content-Length: 25"),
    "a list of lengths": ("Content-Length: 25, 25",),
    "a negative length": ("Content-Length: -25",),
    "a signed length": ("Content-Length: +25",),
    "a length that is no number": ("Content-Length: 0x19",),
    "an empty length": ("Content-Length:",),
    "a length beyond 64 bits": ("Content-Length: 99999999999999999999",),
    "an unknown coding": ("Transfer-Encoding: xchunked",),
    "identity": ("Transfer-Encoding: identity",),
    "gzip, chunked": ("Transfer-Encoding: gzip, chunked",),
    "chunked twice": ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "a space before the colon": ("Content-Length : 25",),
    "a folded header": ("X-Note: a\r\n b", "Content-Length: 25"),
    "two hosts": ("Host: example.com", "Content-Length: 25"),
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_an_ambiguous_request_is_refused_and_the_connection_closed(
    server: ServerProcess, stranger: LiveTrader, headers: tuple[str, ...]
) -> None:
    request = post("/portfolio/create", bearer(stranger), *headers, body=MARGIN)
    with RawConnection(server.port) as connection:
        answer = connection.send(request).answer()
        assert answer.status == 400, answer
        assert answer.json()["code"] == "malformed_request"
        assert set(answer.json()) == {"error", "code", "details", "request_id"}
        connection.socket.settimeout(8)
        assert connection.is_closed()
    assert (
        server.request("GET", f"/portfolio/{stranger.client_id}", stranger.token).status_code == 404
    )


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"0x3\r\nabc",
    ],
)
def test_chunks_of_a_bad_size_are_refused(server: ServerProcess, chunks: bytes) -> None:
    head = post("/auth/login", "Transfer-Encoding: chunked")
    with RawConnection(server.port) as connection:
        answer = connection.send(head, chunks).answer()
    assert (answer.status, answer.json()["code"]) == (400, "malformed_request")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /health/live HTTP/1.1\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /health/live HTTP/1.1\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431),
        (b"GET /health/live HTTP/2.0\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", 400),
    ],
    ids=["a long header", "a long address", "many headers", "HTTP/2", "TLS", "a proxy's request"],
)
def test_an_invalid_request_is_refused_with_the_standard_error(
    server: ServerProcess, request_: bytes, status: int
) -> None:
    with RawConnection(server.port) as connection:
        answer = connection.send(request_).answer()
    assert answer.status == status
    assert set(answer.json()) == {"error", "code", "details", "request_id"}


def test_requests_sent_at_once_are_answered_in_their_order(server: ServerProcess) -> None:
    paths = ["/health/live", "/nothing", "/health/live", "/market/live/NIFTY"]
    requests = b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode() for path in paths)
    with RawConnection(server.port) as connection:
        connection.send(requests)
        assert [connection.answer().status for _ in paths] == [200, 404, 200, 200]


def test_a_polling_client_may_send_its_packets_in_chunks(server: ServerProcess) -> None:
    polling = "/socket.io/?EIO=4&transport=polling"
    sid = json.loads(server.request("GET", polling).text[1:])["sid"]
    head = post(f"{polling}&sid={sid}", "Transfer-Encoding: chunked")
    with RawConnection(server.port) as connection:
        assert connection.send(head, in_chunks(b"40", 1)).answer().status == 200

    assert server.request("GET", f"{polling}&sid={sid}").text.count("40{") == 1
