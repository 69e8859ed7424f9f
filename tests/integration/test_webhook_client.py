"""The client of webhooks, against endpoints that are slow, broken or not what they seem."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.webhooks.client import MAX_RESPONSE_BYTES, EndpointError, WebhookClient
from tests.fakes.endpoint import Endpoint
from tests.fakes.smtp import make_certificate

LOCAL = ("127.0.0.1", "localhost")
PUBLIC = "8.8.8.8"


@contextmanager
def scripted(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """Serve one connection by `serve`; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    serve(connection)
                except OSError:
                    # The client has hung up.
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(20)


def leading_to(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    return lambda _host, _port: addresses


def test_a_request_is_as_http_wants_it(endpoint: Endpoint) -> None:
    client = WebhookClient(LOCAL)
    endpoint.statuses = [204]

    url = f"http://localhost:{endpoint.port}/hook?token=1"
    response = client.post(url, {"webhook-id": "1"}, b'{"seq":1}')

    assert response.status_code == 204
    (request,) = endpoint.received
    assert (request.path, request.body) == ("/hook?token=1", b'{"seq":1}')
    assert request.headers["host"] == f"localhost:{endpoint.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "1"


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["::ffff:127.0.0.1"]])
def test_a_name_that_leads_to_a_private_address_is_refused(
    endpoint: Endpoint, addresses: list[str]
) -> None:
    client = WebhookClient(resolve=leading_to(*addresses))

    with pytest.raises(EndpointError, match="not public"):
        client.post(f"http://bot.example.com:{endpoint.port}/", {}, b"{}")
    assert endpoint.received == []


def test_a_name_is_resolved_once_for_each_request(endpoint: Endpoint) -> None:
    """A second look-up, of the system's own, could lead elsewhere than the checked one."""
    answers = [[PUBLIC], ["127.0.0.1"]]
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers.pop(0)

    client = WebhookClient(resolve=resolve, total_seconds=0.2)
    with pytest.raises(EndpointError) as failure:
        client.post(f"http://rebinding.example:{endpoint.port}/", {}, b"{}")
    assert "not public" not in str(failure.value)
    assert asked == ["rebinding.example"]

    with pytest.raises(EndpointError, match="not public"):
        client.post(f"http://rebinding.example:{endpoint.port}/", {}, b"{}")
    assert endpoint.received == []


def test_an_allowed_name_may_be_private(endpoint: Endpoint) -> None:
    client = WebhookClient(("bot.lan",), resolve=leading_to("127.0.0.1"))

    assert client.post(f"http://bot.lan:{endpoint.port}/", {}, b"{}").status_code == 200
    assert endpoint.received[0].headers["host"] == f"bot.lan:{endpoint.port}"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(endpoint: Endpoint, status: int) -> None:
    with Endpoint().open() as secret:
        endpoint.statuses = [status]
        endpoint.headers = {"Location": f"http://127.0.0.1:{secret.port}/"}

        response = WebhookClient(LOCAL).post(f"http://127.0.0.1:{endpoint.port}/", {}, b"{}")

        assert response.status_code == status
        assert secret.received == []


@pytest.mark.needs("openssl")
def test_tls_is_checked_for_the_name_although_the_address_is_used(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "bot.example.com")
    trust = ssl.create_default_context(cafile=str(certificate))
    client = WebhookClient(
        ("bot.example.com", "other.example.com"), resolve=leading_to("127.0.0.1"), tls=trust
    )
    with Endpoint().open((certificate, key)) as endpoint:
        url = f"https://bot.example.com:{endpoint.port}/"
        assert client.post(url, {}, b"x" * 100_000).status_code == 200
        assert len(endpoint.received[0].body) == 100_000
        with pytest.raises(EndpointError, match="certificate is not valid"):
            client.post(url.replace("bot.", "other."), {}, b"{}")
        untrusting = WebhookClient(("bot.example.com",), resolve=leading_to("127.0.0.1"))
        with pytest.raises(EndpointError, match="certificate is not valid"):
            untrusting.post(url, {}, b"{}")
        assert len(endpoint.received) == 1


def test_an_endpoint_without_tls_is_no_https(endpoint: Endpoint) -> None:
    with pytest.raises(EndpointError, match=r"does not speak TLS|closed"):
        WebhookClient(LOCAL).post(f"https://localhost:{endpoint.port}/", {}, b"{}")


def drip(content: bytes) -> Callable[[socket.socket], None]:
    """Send a byte at a time, faster than any timeout of a single read."""

    def serve(connection: socket.socket) -> None:
        for byte in content:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    return serve


@pytest.mark.parametrize(
    ("scheme", "content"),
    [
        ("http", b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 10_000),
        ("https", b"\x16\x03\x03\x40\x00" * 900),
    ],
    ids=["header", "TLS handshake"],
)
def test_a_dripping_endpoint_is_left_at_the_deadline(scheme: str, content: bytes) -> None:
    client = WebhookClient(LOCAL, total_seconds=0.3)

    with scripted(drip(content)) as port:
        began = time.monotonic()
        with pytest.raises(EndpointError, match=r"in time|TLS"):
            client.post(f"{scheme}://127.0.0.1:{port}/", {}, b"{}")

    # The endpoint would take minutes.
    assert time.monotonic() - began < 15


def test_a_long_response_is_not_read_to_its_end() -> None:
    sent: list[int] = []

    def serve(connection: socket.socket) -> None:
        connection.recv(4_096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(10_000):
            connection.sendall(b"a" * 100_000)
            sent.append(100_000)

    with scripted(serve) as port:
        response = WebhookClient(LOCAL).post(f"http://127.0.0.1:{port}/", {}, b"{}")

    assert response.status_code == 200
    # What fills the buffers of both sockets.
    assert sum(sent) < MAX_RESPONSE_BYTES + 50_000_000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX-Endless: ", "without an answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "without an answer"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "not HTTP",
        ),
    ],
)
def test_an_answer_that_is_none_is_a_failure(content: bytes, reason: str) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4_096)
        connection.sendall(content)

    with scripted(serve) as port, pytest.raises(EndpointError, match=reason):
        WebhookClient(LOCAL).post(f"http://127.0.0.1:{port}/", {}, b"{}")


def test_the_final_status_counts_after_an_interim_one() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4_096)
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 Busy\r\n")
        connection.sendall(b"Retry-After: 30\r\nContent-Length: 0\r\n\r\n")

    with scripted(serve) as port:
        response = WebhookClient(LOCAL).post(f"http://127.0.0.1:{port}/", {}, b"{}")

    assert (response.status_code, response.retry_after) == (503, "30")


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a" * 64 + ".example.com"])
def test_a_name_that_does_not_exist_is_a_failure(host: str) -> None:
    with pytest.raises(EndpointError, match=r"name is not known|no address"):
        WebhookClient().post(f"https://{host}/", {}, b"{}")


def test_a_refused_connection_is_a_failure(endpoint: Endpoint) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(EndpointError, match="refused"):
        WebhookClient(LOCAL).post(f"http://127.0.0.1:{port}/", {}, b"{}")
