"""From an HTTP request to the WSGI environ, and from the application's response to HTTP."""

from __future__ import annotations

import itertools
import json
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication, WSGIEnvironment

from app.logs import logger
from app.transport.connections import CONNECTION_KEY, Connection
from app.transport.requests import RefusedRequest, Request
from app.web.headers import SECURITY_HEADERS

Headers = list[tuple[str, str]]
BODILESS = ("1", "204", "304")


def environ_of(request: Request, connection: Connection) -> WSGIEnvironment:
    """Return the WSGI environ. The body has been read, so CONTENT_LENGTH is always known."""
    path, query = _target(request.url)
    host, port = connection.socket.getsockname()[:2]
    is_cut = not request.is_complete
    length = request.content_length if is_cut and request.content_length else len(request.body)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_URI": request.url.decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": connection.address,
        "REMOTE_PORT": str(connection.port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        CONNECTION_KEY: connection,
    }
    for name, value in request.headers:
        # `X_Real_IP` would become the same variable as `X-Real-IP`.
        if b"_" not in name and name not in (b"content-length", b"transfer-encoding"):
            key, text = _variable(name), value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    if request.has_body:
        environ["CONTENT_LENGTH"] = str(length)
    return environ


def _target(url: bytes) -> tuple[str, str]:
    if not url.startswith(b"/"):
        scheme, separator, rest = url.partition(b"://")
        if separator and scheme.lower() in (b"http", b"https"):
            # The absolute form, as sent to proxies: the path follows the host.
            slash, mark = rest.find(b"/"), rest.find(b"?")
            at = min((place for place in (slash, mark) if place >= 0), default=len(rest))
            url = rest[at:] if rest[at : at + 1] == b"/" else b"/" + rest[at:]
    path, _, query = url.partition(b"?")
    return unquote_to_bytes(path).decode("latin-1"), query.decode("latin-1")


@lru_cache(maxsize=512)
def _variable(name: bytes) -> str:
    text = name.decode("latin-1").upper().replace("-", "_")
    return text if text == "CONTENT_TYPE" else f"HTTP_{text}"


class ResponseWriter:
    """Sends the response to one request as the application produces it."""

    def __init__(self, connection: Connection, request: Request, keep_alive: bool) -> None:
        self._connection = connection
        self._request = request
        self._status = ""
        self._headers: Headers = []
        self._written: list[bytes] = []
        self.keep_alive = keep_alive
        self.has_begun = False

    def run(self, app: WSGIApplication, environ: WSGIEnvironment) -> None:
        """Call the application and send its response; raise OSError if the client has left."""
        result: Iterable[bytes] = app(environ, self._start)
        try:
            if self._connection.websocket is None:
                self._send(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _start(self, status: str, headers: Headers, exc_info: Any = None) -> Any:
        if exc_info and self.has_begun:
            raise exc_info[1].with_traceback(exc_info[2])
        self._status, self._headers = status, headers
        return self._written.append

    def _send(self, result: Iterable[bytes]) -> None:
        known = any(name.lower() == "content-length" for name, _ in self._headers)
        if isinstance(result, (list, tuple)) and len(result) + len(self._written) <= 1:
            body = b"".join((*self._written, *result))
            length = [] if known else [("Content-Length", str(len(body)))]
            self._send_head(length, body if self._has_body else b"")
            return
        chunked = not known and self._has_body and self._request.version == "1.1"
        if not known and not chunked and self._has_body:
            self.keep_alive = False
        parts = (
            b"%x\r\n%b\r\n" % (len(part), part) if chunked else part
            for part in itertools.chain(self._written, result)
            if part and self._has_body
        )
        # Most responses have one part, which goes out with the head in one write.
        self._send_head([("Transfer-Encoding", "chunked")] if chunked else [], next(parts, b""))
        for part in parts:
            self._connection.send(part)
        if chunked:
            self._connection.send(b"0\r\n\r\n")

    @property
    def _has_body(self) -> bool:
        return self._request.method != "HEAD" and not self._status.startswith(BODILESS)

    def _send_head(self, more: Headers, body: bytes) -> None:
        if self._status.startswith(BODILESS):
            more = []
        lines = [f"HTTP/1.1 {self._status}", f"Date: {_date(int(time.time()))}"]
        lines += [f"{name}: {value}" for name, value in (*self._headers, *more)]
        if not self.keep_alive:
            lines.append("Connection: close")
        elif self._request.version == "1.0":
            lines.append("Connection: keep-alive")
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        self.has_begun = True
        if len(body) < 16 * 1024:
            self._connection.send(head + body)
        else:
            # Sent separately, to avoid a copy of a long body.
            self._connection.send(head)
            self._connection.send(body)


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def error_response(status: str, code: str, message: str, retry_after: int | None = None) -> bytes:
    """Return a complete error response of the API, after which the connection closes."""
    request_id = uuid.uuid4().hex
    body = error_body(code, message, request_id)
    lines = [
        f"HTTP/1.1 {status}",
        f"Date: {_date(int(time.time()))}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"X-Request-ID: {request_id}",
        *(f"{name}: {value}" for name, value in SECURITY_HEADERS.items()),
        "Connection: close",
    ]
    if retry_after is not None:
        lines.append(f"Retry-After: {retry_after}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def error_body(
    code: str, message: str, request_id: str | None, details: Mapping[str, Any] | None = None
) -> bytes:
    """Return the body of an error response of the API."""
    request_id = request_id or uuid.uuid4().hex
    error = {"error": message, "code": code, "details": details or {}, "request_id": request_id}
    return json.dumps(error).encode()


def refusal(error: RefusedRequest) -> bytes:
    return error_response(error.status, error.code, error.message)


def failure() -> bytes:
    """Log the current exception; return the response to the request that caused it."""
    logger.exception("unexpected error in a request")
    message = "Something went wrong on our side; the request_id helps us find it."
    return error_response("500 Internal Server Error", "internal_error", message)
