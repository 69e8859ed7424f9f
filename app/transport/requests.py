"""Parsing HTTP/1.1 requests: strict framing, bounded size."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import httptools

from app.transport.connections import Connection, Phase

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100
# A chunked body is longer on the wire: a chunk of one byte takes six.
MAX_WIRE_FACTOR = 8
RECEIVE_BYTES = 16 * 1024
# Reads of one request that are not counted. Large bodies and trickled requests need more.
FREE_PIECES = 8
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RefusedRequest(Exception):
    """A request that is refused before the application sees it, with the response."""

    def __init__(self, status: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def _malformed(message: str) -> RefusedRequest:
    return RefusedRequest("400 Bad Request", "malformed_request", message)


def _head_too_large() -> RefusedRequest:
    return RefusedRequest(
        "431 Request Header Fields Too Large",
        "headers_too_large",
        "A request may have at most 100 headers and 32 KiB of address and headers.",
    )


@dataclass(slots=True)
class Request:
    """A parsed request; `body` is cut to one byte more than the limit."""

    url: bytes = b""
    method: str = ""
    version: str = "1.1"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    content_length: int | None = None
    is_chunked: bool = False
    expects_continue: bool = False
    has_head: bool = False
    is_complete: bool = False
    keep_alive: bool = False
    upgrade: bytes = b""
    head_bytes: int = 0

    @property
    def has_body(self) -> bool:
        return self.is_chunked or bool(self.content_length)

    @property
    def is_websocket(self) -> bool:
        return self.upgrade == b"websocket" and self.method == "GET" and not self.has_body

    def is_too_long(self, limit: int) -> bool:
        return len(self.body) > limit or (self.content_length or 0) > limit


class _Collector:
    """Receives the callbacks of the parser and builds requests."""

    def __init__(self, max_body: int) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.complete: deque[Request] = deque()
        self.current: Request | None = None
        self._max_body = max_body

    def on_message_begin(self) -> None:
        self.current = Request()

    def on_url(self, url: bytes) -> None:
        request = self._request()
        request.url += url
        self._count(request, len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._request()
        if request.has_head:
            # A trailer, which must not be mistaken for a header.
            return
        request.headers.append((name.lower(), value))
        self._count(request, len(name) + len(value))

    def on_headers_complete(self) -> None:
        request = self._request()
        request.has_head = True
        request.method = self.parser.get_method().decode("ascii")
        request.version = self.parser.get_http_version()
        _interpret_headers(request)

    def on_body(self, body: bytes) -> None:
        request = self._request()
        room = self._max_body + 1 - len(request.body)
        request.body += body[:room]

    def on_message_complete(self) -> None:
        request = self._request()
        request.is_complete = True
        request.keep_alive = self.parser.should_keep_alive()
        if not self.parser.should_upgrade():
            request.upgrade = b""
        self.complete.append(request)
        self.current = None

    def _request(self) -> Request:
        assert self.current is not None
        return self.current

    def _count(self, request: Request, size: int) -> None:
        request.head_bytes += size
        if request.head_bytes > MAX_HEAD_BYTES or len(request.headers) > MAX_HEADERS:
            raise _head_too_large()


def _interpret_headers(request: Request) -> None:
    """Read the framing from the headers; raise RefusedRequest if it is ambiguous."""
    if request.version not in ("1.0", "1.1"):
        raise RefusedRequest(
            "505 HTTP Version Not Supported", "http_version", "Use HTTP/1.1 or HTTP/1.0."
        )
    if request.method == "CONNECT":
        raise _malformed("This server is not a proxy.")
    headers = dict(request.headers)
    if sum(name == b"host" for name, _ in request.headers) > 1:
        raise _malformed("A request must have exactly one Host header.")
    if b"transfer-encoding" in headers:
        if headers[b"transfer-encoding"].lower() != b"chunked" or request.version == "1.0":
            raise _malformed("The only Transfer-Encoding is chunked, in HTTP/1.1.")
        request.is_chunked = True
    # The parser has already refused anything but a single number.
    if b"content-length" in headers:
        request.content_length = int(headers[b"content-length"])
    request.expects_continue = headers.get(b"expect", b"").lower() == b"100-continue"
    request.upgrade = headers.get(b"upgrade", b"").strip().lower()


class RequestReader:
    """Reads the requests of one connection in order."""

    def __init__(self, connection: Connection, max_body: int) -> None:
        self._connection = connection
        self._max_body = max_body
        self._collector = _Collector(max_body)
        # Bytes received since the last complete request.
        self._received = 0
        self._pieces = 0

    def next(self) -> Request | None:
        """Return the next request, or None at the end; raise RefusedRequest if it is malformed.

        A request whose body is too long is returned incomplete.
        """
        while not self._collector.complete:
            request = self._collector.current
            if request and request.has_head and request.is_too_long(self._max_body):
                return request
            self._pieces += 1
            if self._pieces > FREE_PIECES and not self._connection.take_piece():
                raise RefusedRequest(
                    "429 Too Many Requests", "rate_limited", "Requests come in too many pieces."
                )
            self._update_phase(request)
            data = self._connection.receive(RECEIVE_BYTES)
            if not data:
                return None
            self._received += len(data)
            self._feed(data)
        self._received = self._pieces = 0
        return self._collector.complete.popleft()

    def _update_phase(self, request: Request | None) -> None:
        connection = self._connection
        if request and request.has_head:
            if connection.phase is not Phase.BODY:
                connection.enter(Phase.BODY)
                if request.expects_continue and request.version == "1.1" and not request.body:
                    try:
                        connection.send(CONTINUE)
                    except OSError:
                        return
        elif self._received and connection.phase is not Phase.HEADER:
            connection.enter(Phase.HEADER)

    def _feed(self, data: bytes) -> None:
        try:
            self._collector.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, RefusedRequest):
                raise error.__context__ from None
            raise
        except httptools.HttpParserError as error:
            if not self._collector.complete:
                raise _malformed(f"This is not HTTP/1.1: {error}.") from None
            # Bytes after a request that ends the connection.
            self._collector.complete[-1].keep_alive = False
        self._check_size()

    def _upgrade(self, rest: bytes) -> None:
        request = self._collector.complete[-1]
        if request.is_websocket:
            self._connection.unread = rest
            return
        # An offer of another protocol, such as h2c, is ignored: the request is parsed again without
        # it, because the parser skips the body of an upgrade.
        self._collector.complete.pop()
        headers = [(name, value) for name, value in request.headers if name != b"upgrade"]
        lines = [b"%s: %s\r\n" % header for header in headers]
        head = b"%s %s HTTP/%s\r\n" % (
            request.method.encode(),
            request.url,
            request.version.encode(),
        )
        self._collector.parser = httptools.HttpRequestParser(self._collector)
        self._feed(head + b"".join(lines) + b"\r\n" + rest)

    def _check_size(self) -> None:
        request = self._collector.current
        if self._collector.complete:
            return
        if not (request and request.has_head):
            if self._received > MAX_HEAD_BYTES:
                raise _head_too_large()
        elif self._received > MAX_HEAD_BYTES + MAX_WIRE_FACTOR * self._max_body:
            raise RefusedRequest(
                "413 Content Too Large", "body_too_large", "The chunks of the body are too small."
            )
