"""A connection to one address, with TLS if wanted, and one deadline for all that happens on it."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")

CHUNK_BYTES = 4_096


class Connection:
    """A TCP connection to an IP address.

    The timeouts of sockets restart with each byte, so an endpoint that sends one byte a second
    could hold a connection for ever. Here TLS runs in memory and each operation on the socket
    gets the time that is left. Sockets are those of the async mode: other greenlets run meanwhile.
    """

    def __init__(self, address: str, port: int, *, ends_at: float, connect_seconds: float) -> None:
        """Connect; `ends_at` is in seconds of time.monotonic. Raises OSError."""
        self._ends_at = ends_at
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        timeout = min(connect_seconds, self._seconds_left())
        self._socket = socket.create_connection((address, port), timeout)

    def close(self) -> None:
        self._socket.close()

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Negotiate TLS and check the certificate for `host`; raise OSError if that fails."""
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._with_tls(self._tls.do_handshake)

    def send(self, content: bytes) -> None:
        """Send all the content; raise OSError."""
        tls = self._tls
        if tls is None:
            self._send(content)
            return
        while content:
            content = content[self._with_tls(partial(tls.write, content)) :]

    def receive(self) -> bytes:
        """Return what the other side sent, b"" at the end; raise OSError."""
        tls = self._tls
        if tls is None:
            return self._receive()
        try:
            return self._with_tls(lambda: tls.read(CHUNK_BYTES))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _with_tls(self, step: Callable[[], T]) -> T:
        """Repeat a step of TLS until it needs nothing more from the other side."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._send(self._outgoing.read())
                if received := self._receive():
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            else:
                self._send(self._outgoing.read())
                return result

    def _send(self, content: bytes) -> None:
        if content:
            self._socket.settimeout(self._seconds_left())
            self._socket.sendall(content)

    def _receive(self) -> bytes:
        self._socket.settimeout(self._seconds_left())
        return self._socket.recv(CHUNK_BYTES)

    def _seconds_left(self) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
