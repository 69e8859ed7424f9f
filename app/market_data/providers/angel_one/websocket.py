"""One WebSocket, read without waiting, and a bell that wakes whoever waits for it.

websocket-client speaks the protocol. It is used without its own loop and threads, so that one
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

# Messages read before they are handed on, however many more there are.
MAX_AT_ONCE = 200
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
    """The connection is not there. Its message says why, and holds no secret.

    `retry_after` is seconds, where the server asked for a pause.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConnectionRefused(ConnectionLost):
    """The server does not accept the credentials."""


class Wakeup:
    """Wakes the one task that waits on it, also where that waits for a socket."""

    def __init__(self) -> None:
        self._ear, self._button = socket.socketpair()
        self._ear.setblocking(False)
        self._button.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._ear, selectors.EVENT_READ)

    def ring(self) -> None:
        """Wake the task, or keep it from falling asleep. Never waits."""
        # A full pipe rings already; a closed one has nobody left to wake.
        with suppress(OSError):
            self._button.send(b"!")

    def wait(self, seconds: float | None, also: int | None = None) -> None:
        """Sleep until the bell rings, the file `also` is readable, or `seconds` have passed."""
        if also is not None:
            self._selector.register(also, selectors.EVENT_READ)
        try:
            self._selector.select(seconds)
        finally:
            if also is not None:
                self._selector.unregister(also)
        with suppress(OSError):
            self._ear.recv(4096)

    def close(self) -> None:
        """Give back what the bell is made of."""
        self._selector.close()
        self._ear.close()
        self._button.close()


class WebSocketTransport:
    """A WebSocket to one server. Only its task uses it, but for `abort`."""

    def __init__(self, url: str, context: ssl.SSLContext | None) -> None:
        """Prepare for `url`; `context` says which certificates of wss:// are trusted."""
        self._url = url
        self._socket = WebSocket(sslopt={"context": context}, enable_multithread=False)
        self._loss: ConnectionLost | None = None
        self.has_more = False

    def open(self, headers: Mapping[str, str], seconds: float) -> None:
        """Connect and shake hands within `seconds`; raise ConnectionLost or ConnectionRefused."""
        # The time-out of a socket begins anew with each byte, the timer does not.
        timer = threading.Timer(seconds, self.abort)
        timer.daemon = True
        timer.start()
        try:
            self._socket.connect(
                self._url,
                header=dict(headers),
                timeout=min(seconds, _STEP_SECONDS),
                # No other server is to see the credentials.
                redirect_limit=0,
            )
            self._socket.settimeout(0)
        # Whatever went wrong, there is no connection; the cause may hold the credentials.
        except Exception as error:
            self._socket.shutdown()
            raise _loss(error) from None
        finally:
            timer.cancel()

    def fileno(self) -> int:
        """Return the file to wait for; raise ConnectionLost where it is closed."""
        if self._socket.sock is None:
            raise ConnectionLost("the connection broke")
        return int(self._socket.sock.fileno())

    def send(self, text: str) -> None:
        """Send a message, waiting a few seconds at most; raise ConnectionLost."""
        try:
            self._socket.settimeout(_STEP_SECONDS)
            self._socket.send(text)
            self._socket.settimeout(0)
        except Exception as error:  # As in `open`.
            raise _loss(error) from None

    def drain(self) -> list[Message]:
        """Return the messages that are there already, in order; raise ConnectionLost.

        A connection that ends behind them is lost with the next call. `has_more` tells that
        there may be more to read at once.
        """
        messages: list[Message] = []
        self.has_more = True
        while self._loss is None and len(messages) < MAX_AT_ONCE:
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
        """Break off a connection that is being opened, from any task."""
        # Its own attribute, read once: the task may be closing it at this moment.
        connecting = self._socket.sock
        if connecting is not None:
            with suppress(OSError):
                connecting.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Say goodbye without waiting for an answer, and hang up."""
        # It may be broken in any way already, and is given up in any case.
        with suppress(Exception):
            # Where the server closed first, it has its answer already.
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
    """Say what went wrong in words of our own: the error's may hold anything."""
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
    # The gateway's answer to too many requests is a 403 too.
    too_many = b"exceeding access rate" in (error.resp_body or b"")
    if status in _REFUSALS and not too_many:
        return ConnectionRefused(f"the server refused the credentials ({status})")
    asked = str((error.resp_headers or {}).get("retry-after", ""))
    pause = float(asked) if re.fullmatch(r"\d{1,4}", asked) else None
    return ConnectionLost(f"the server answered {status}", retry_after=pause)
