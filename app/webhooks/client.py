"""The client that posts to webhooks: to public addresses only, within bounds of time and size."""

from __future__ import annotations

import _socket
import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import SplitResult, urlsplit

import httptools

from app.concurrency import run_blocking
from app.webhooks.addresses import DEFAULT_PORTS, is_listed, is_public
from app.webhooks.connection import Connection

CONNECT_SECONDS = 5.0
# For a whole request, from the first packet to the status of the response.
TOTAL_SECONDS = 10.0
MAX_RESPONSE_BYTES = 16 * 1024
# Addresses of one name that are tried.
MAX_ADDRESSES = 2
USER_AGENT = "PaperTrading-Webhooks/1.0"

Resolve = Callable[[str, int], Sequence[str]]


class EndpointError(Exception):
    """An endpoint could not be reached, or its answer is no HTTP; the text says why."""


@dataclass(frozen=True, slots=True)
class Response:
    """What an endpoint answered. The body is not kept."""

    status_code: int
    retry_after: str = ""


def resolve(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host; raise OSError. It runs in a real thread.

    The unpatched function, because that of eventlet blocks its loop and that of gevent needs it.
    """
    found = run_blocking(_socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class WebhookClient:
    """Posts to webhooks.

    `allowed_hosts` may have private addresses. Redirects are not followed, so there is no other
    address to check. `resolve` and `tls` replace those of the system.
    """

    def __init__(
        self,
        allowed_hosts: Collection[str] = (),
        *,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._allowed_hosts = allowed_hosts
        self._resolve = resolve
        self._given_tls = tls
        self._total_seconds = total_seconds

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Made for the first delivery, because it reads every certificate of the system.
        return self._given_tls or ssl.create_default_context()

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Post `body` as JSON; return the response, whatever its status. Raises EndpointError."""
        parts = urlsplit(url)
        try:
            return self._post(parts, _render_request(parts, headers, body))
        except OSError as error:
            raise EndpointError(_explain(error)) from None
        except UnicodeError:
            # Parts of a name that are empty or too long.
            raise EndpointError("the name is not known") from None

    def _post(self, parts: SplitResult, request: bytes) -> Response:
        host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
        addresses = self._addresses(host, port)
        ends_at = time.monotonic() + self._total_seconds
        connection = _connect(addresses, port, ends_at)
        try:
            if parts.scheme == "https":
                connection.start_tls(self._tls, host)
            connection.send(request)
            return _read_response(connection)
        finally:
            connection.close()

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host; raise EndpointError if one of them is not public."""
        addresses = self._resolve(host, port)
        if not addresses:
            raise EndpointError("the name has no address")
        if not is_listed(host, self._allowed_hosts) and not all(map(is_public, addresses)):
            raise EndpointError("the name leads to an address that is not public")
        return addresses[:MAX_ADDRESSES]


def _connect(addresses: Sequence[str], port: int, ends_at: float) -> Connection:
    *others, last = addresses
    for address in others:
        try:
            return Connection(address, port, ends_at=ends_at, connect_seconds=CONNECT_SECONDS)
        except OSError:
            continue
    return Connection(last, port, ends_at=ends_at, connect_seconds=CONNECT_SECONDS)


def _render_request(parts: SplitResult, headers: Mapping[str, str], body: bytes) -> bytes:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {
        "Host": parts.netloc,
        "User-Agent": USER_AGENT,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **headers,
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class _ResponseReader:
    """Collects the final status of a response; the parser calls its methods."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.response: Response | None = None
        self.is_complete = False
        self._retry_after = ""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        # 1xx precedes the response itself.
        if status >= 200:
            self.response = Response(status, self._retry_after)

    def on_message_complete(self) -> None:
        self.is_complete = self.response is not None


def _read_response(connection: Connection) -> Response:
    """Read until the response ends or is long enough; raise EndpointError if it has no status."""
    reader = _ResponseReader()
    size = 0
    while not reader.is_complete and size < MAX_RESPONSE_BYTES:
        try:
            received = connection.receive()
            if not received:
                break
            reader.parser.feed_data(received)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if reader.response is None:
                raise EndpointError("the answer is not HTTP") from None
            # The status has arrived; the body does not matter.
            break
        except OSError:
            if reader.response is None:
                raise
            break
        size += len(received)
    if reader.response is None:
        raise EndpointError("the endpoint closed the connection without an answer")
    return reader.response


def _explain(error: OSError) -> str:
    return next(reason for kind, reason in _REASONS if isinstance(error, kind))


# Subclasses before their base classes.
_REASONS: tuple[tuple[type[OSError], str], ...] = (
    (ssl.SSLCertVerificationError, "the certificate is not valid for the name"),
    (ssl.SSLError, "the endpoint does not speak TLS as expected"),
    (socket.gaierror, "the name is not known"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionError, "the connection was closed"),
    (TimeoutError, "the endpoint did not answer in time"),
    (OSError, "the endpoint cannot be reached"),
)
