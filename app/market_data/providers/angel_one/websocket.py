"""One WebSocket with non-blocking reads, and a wakeup for the task that waits for it.

websocket-client implements the protocol. It is used without its loop and threads, so that one
task reads, writes and waits, in each async mode.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress

import websocket
from websocket import ABNF, WebSocket

from app.market_data.providers.angel_one.responses import ACCESS_RATE

# Maximum messages of one `drain`.
MAX_MESSAGES = 200
_STEP_SECONDS = 5.0
_NOT_YET = (
    BlockingIOError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
    websocket.WebSocketTimeoutException,
)
_REFUSALS = (401, 403)

Message = bytes | str


class ConnectionLost(Exception):
    """There is no connection. The message says why, and contains no secret.

    `retry_after` is the pause in seconds that the server asked for, if it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConnectionRefused(ConnectionLost):
    """The server does not accept the credentials."""


class Wakeup:
    """Wakes the one task that waits on it, even while the task also waits for a socket."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._receiver, selectors.EVENT_READ)

    def set(self) -> None:
        """Wake the task; if it is not waiting, its next wait returns immediately. Never blocks."""
        # If the pipe is full, the task wakes anyway. If it is closed, the task has ended.
        with suppress(OSError):
            self._sender.send(b"!")

    def wait(self, seconds: float | None, also: int | None = None) -> None:
        """Sleep until `set` is called, the file `also` is readable, or `seconds` have passed."""
        if also is not None:
            self._selector.register(also, selectors.EVENT_READ)
        try:
            self._selector.select(seconds)
        finally:
            if also is not None:
                self._selector.unregister(also)
        with suppress(OSError):
            self._receiver.recv(4096)

    def close(self) -> None:
        self._selector.close()
        self._receiver.close()
        self._sender.close()


class WebSocketTransport:
    """A WebSocket to one server. Only its own task may use it, except for `abort`."""

    def __init__(self, url: str, context: ssl.SSLContext | None) -> None:
        """Prepare for `url`; `context` has the certificates that wss:// trusts."""
        self._url = url
        self._socket = WebSocket(sslopt={"context": context}, enable_multithread=False)
        self._loss: ConnectionLost | None = None
        self.has_more = False

    def open(self, headers: Mapping[str, str], seconds: float) -> None:
        """Connect within `seconds`; raise ConnectionLost or ConnectionRefused."""
        # Each byte restarts a socket's timeout, but not this timer.
        timer = threading.Timer(seconds, self.abort)
        timer.daemon = True
        timer.start()
        try:
            self._socket.connect(
                self._url,
                header=dict(headers),
                timeout=min(seconds, _STEP_SECONDS),
                # No other server may see the credentials.
                redirect_limit=0,
            )
            self._socket.settimeout(0)
        # Any failure means no connection, and the original error may contain the credentials.
        except Exception as error:
            self._socket.shutdown()
            raise _loss(error) from None
        finally:
            timer.cancel()

    def fileno(self) -> int:
        """Return the file to wait for; raise ConnectionLost if it is closed."""
        if self._socket.sock is None:
            raise ConnectionLost("the connection broke")
        return int(self._socket.sock.fileno())

    def send(self, text: str) -> None:
        """Send a message within a few seconds; raise ConnectionLost."""
        try:
            self._socket.settimeout(_STEP_SECONDS)
            self._socket.send(text)
            self._socket.settimeout(0)
        except Exception as error:  # As in `open`.
            raise _loss(error) from None

    def drain(self) -> list[Message]:
        """Return the messages received so far, in order; raise ConnectionLost.

        If the connection ends after some messages, the next call raises. `has_more` is True if
        more may be ready.
        """
        messages: list[Message] = []
        self.has_more = True
        while self._loss is None and len(messages) < MAX_MESSAGES:
            try:
                messages.append(self._receive())
            except _NOT_YET:
                self.has_more = False
                return messages
            except Exception as error:  # As in `open`.
                self._loss = _loss(error)
        if self._loss and not messages:
            raise self._loss
        return messages

    def abort(self) -> None:
        """Break off a connection attempt, from any task."""
        # Read the attribute once: the task may close the socket at the same time.
        connecting = self._socket.sock
        if connecting is not None:
            with suppress(OSError):
                connecting.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Send a close frame, and close without waiting for the reply."""
        # The connection may be broken in any way, and is closed in any case.
        with suppress(Exception):
            # The server may have closed first, and has then had its reply.
            if self._socket.connected:
                self._socket.send_close()
        self._socket.shutdown()

    def _receive(self) -> Message:
        opcode, payload = self._socket.recv_data()
        if opcode == ABNF.OPCODE_CLOSE:
            code = int.from_bytes(payload[:2], "big") or "without a code"
            raise ConnectionLost(f"the server closed it ({code})")
        return payload.decode() if opcode == ABNF.OPCODE_TEXT else bytes(payload)


def _loss(error: Exception) -> ConnectionLost:
    """Describe the failure in our own words: the error's text may contain anything."""
    match error:
        case ConnectionLost():
            return error
        case websocket.WebSocketBadStatusException():
            return _refusal(error)
        case ssl.SSLCertVerificationError():
            return ConnectionLost(f"the certificate is not trusted: {error.verify_message}")
        case websocket.WebSocketTimeoutException() | TimeoutError():
            return ConnectionLost("the server did not answer in time")
        case websocket.WebSocketAddressException():
            return ConnectionLost("the server's address was not found")
        case websocket.WebSocketConnectionClosedException() | ssl.SSLEOFError():
            return ConnectionLost("the connection broke")
        case ssl.SSLError():
            return ConnectionLost(f"the connection failed: {error.reason or type(error).__name__}")
        case OSError() if error.errno:
            return ConnectionLost(f"the connection failed: {os.strerror(error.errno)}")
        case _:
            return ConnectionLost(f"the connection failed: {type(error).__name__}")


def _refusal(error: websocket.WebSocketBadStatusException) -> ConnectionLost:
    status = error.status_code
    # The gateway answers too many requests with 403 as well.
    is_rate_limited = ACCESS_RATE in (error.resp_body or b"")
    if status in _REFUSALS and not is_rate_limited:
        return ConnectionRefused(f"the server refused the credentials ({status})")
    seconds = str((error.resp_headers or {}).get("retry-after", ""))
    retry_after = float(seconds) if re.fullmatch(r"\d{1,4}", seconds) else None
    return ConnectionLost(f"the server answered {status}", retry_after=retry_after)
