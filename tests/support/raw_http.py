"""HTTP as bytes on a socket, for requests that no client library sends."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

SECONDS = 15


@dataclass(frozen=True, slots=True)
class RawResponse:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RawConnection:
    """One TCP connection to a server on loopback."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(
            ("127.0.0.1", port), SECONDS, source_address=(source, 0)
        )
        self._unread = b""

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> RawConnection:
        """Send each part in its own packet."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            self.socket.sendall(part)
        return self

    def answer(self) -> RawResponse:
        """Read one response."""
        while b"\r\n\r\n" not in self._unread:
            self._read()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        status = int(status_line.split()[1])
        length = int(headers.get("content-length", 0))
        while len(self._unread) < length:
            self._read()
        body, self._unread = self._unread[:length], self._unread[length:]
        return RawResponse(status, headers, body)

    def is_closed(self) -> bool:
        """Wait for the server to close; return whether it did in time."""
        try:
            while self.socket.recv(65_536):
                continue
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    def _read(self) -> None:
        data = self.socket.recv(65_536)
        assert data, f"the connection ended after {self._unread!r}"
        self._unread += data


def post(path: str, *headers: str, body: bytes = b"") -> bytes:
    """Return a POST request of JSON with these headers and the body unchanged."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def in_chunks(body: bytes, size: int) -> bytes:
    """Return a body in chunks of this size."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
