"""The WebSocket transport under Engine.IO, one for every async mode.

Text messages only, no extensions. The first violation of the protocol, a limit or the budget
closes the connection. Other greenlets run after each frame.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from wsgiref.types import WSGIEnvironment

from wsproto.connection import Connection as Protocol
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.frame_protocol import CloseReason, FrameProtocol
from wsproto.utilities import LocalProtocolError, generate_accept_token

from app.sockets.engine import is_client_packet
from app.transport.budgets import SocketBudget
from app.transport.connections import CONNECTION_KEY, Connection, Phase

MAX_MESSAGE_BYTES = 64 * 1024
MESSAGE_SECONDS = 10.0
RECEIVE_BYTES = 16 * 1024
VERSION = "13"
# Longer messages, such as `live_prices`, go to few sockets: keeping their frames would take memory.
MAX_CACHED_LENGTH = 2_000


def handshake_error(environ: WSGIEnvironment) -> str | None:
    """Return what is wrong with a WebSocket handshake, or None."""
    tokens = environ.get("HTTP_CONNECTION", "").lower().split(",")
    if environ["REQUEST_METHOD"] != "GET" or environ["SERVER_PROTOCOL"] != "HTTP/1.1":
        return "A WebSocket begins with a GET request of HTTP/1.1."
    if "upgrade" not in (token.strip() for token in tokens):
        return "A WebSocket handshake has the header Connection: Upgrade."
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION", "").strip() != VERSION:
        return f"A WebSocket handshake has the header Sec-WebSocket-Version: {VERSION}."
    try:
        key = base64.b64decode(environ.get("HTTP_SEC_WEBSOCKET_KEY", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 16:
        return "A WebSocket handshake has a Sec-WebSocket-Key of 16 bytes in base64."
    return None


class WebSocket:
    """One WebSocket, with the interface of an Engine.IO transport."""

    def __init__(
        self, connection: Connection, budget: SocketBudget, sleep: Callable[[float], None]
    ) -> None:
        self._connection = connection
        self._budget = budget
        self._sleep = sleep
        self._protocol = Protocol(ConnectionType.SERVER)
        self._parts: list[str] = []
        self._size = 0

    def accept(self, key: str) -> None:
        """Answer the handshake and take over the connection."""
        connection = self._connection
        accept = generate_accept_token(key.strip().encode("latin-1")).decode()
        connection.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
        )
        connection.websocket = self
        connection.enter(Phase.WEBSOCKET)
        unread, connection.unread = connection.unread, b""
        if unread:
            self._receive(unread)

    def wait(self) -> str | None:
        """Return the next message, or None when the connection ends."""
        while True:
            for event in self._protocol.events():
                self._sleep(0)
                text = self._take(event)
                if self._protocol.state is not ConnectionState.OPEN:
                    return None
                if text is not None:
                    return text
            data = self._connection.receive(RECEIVE_BYTES)
            if not data:
                self._connection.abort()
                return None
            if self._protocol.state is not ConnectionState.OPEN:
                # Closed by us: further input is discarded.
                self._sleep(0)
            else:
                self._receive(data)

    def send_all(self, messages: Iterable[str]) -> None:
        """Send text messages; raise OSError if the connection is closed."""
        if self._protocol.state is not ConnectionState.OPEN:
            raise OSError("the WebSocket is closed")
        self._connection.send(b"".join(map(text_frame, messages)))

    def close(self, code: int = CloseReason.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send a close frame; the connection ends with the reply or after a timeout."""
        try:
            frame = self._protocol.send(CloseConnection(code=code, reason=reason))
        except LocalProtocolError:
            return
        if self._connection.is_sending:
            # The client is not reading, so it would not see a close frame.
            self._connection.abort()
            return
        try:
            self._connection.send(frame)
            self._connection.finish_sending()
        except OSError:
            self._connection.abort()

    def refuse(self, code: int, reason: str) -> None:
        """Close because the client broke a rule; log the reason."""
        if self._protocol.state is ConnectionState.OPEN:
            self._connection.log(f"socket closed, {reason}")
        self.close(code, reason)

    def _receive(self, data: bytes) -> None:
        if not self._budget.take_bytes(len(data)):
            self.refuse(CloseReason.POLICY_VIOLATION, "too many bytes a second")
            return
        self._protocol.receive_data(data)

    def _take(self, event: Event) -> str | None:
        """Handle one event; return a message that is complete."""
        if not self._budget.take_messages():
            self.refuse(CloseReason.POLICY_VIOLATION, "too many messages a second")
        elif isinstance(event, CloseConnection):
            self._answer_close(event)
        elif self._protocol.state is not ConnectionState.OPEN:
            # Closed by us meanwhile.
            return None
        elif isinstance(event, Ping):
            self._connection.send(self._protocol.send(event.response()))
        elif isinstance(event, BytesMessage):
            self.refuse(CloseReason.UNSUPPORTED_DATA, "binary messages are not taken")
        elif isinstance(event, TextMessage):
            return self._assemble(event)
        return None

    def _answer_close(self, event: CloseConnection) -> None:
        if self._protocol.state is ConnectionState.OPEN:
            # The parser reports invalid bytes by an event of its own.
            self.refuse(event.code, "a violation of the WebSocket protocol")
            return
        if self._protocol.state is ConnectionState.REMOTE_CLOSING:
            self._connection.send(self._protocol.send(event.response()))

    def _assemble(self, part: TextMessage) -> str | None:
        if not self._parts:
            self._connection.deadline = time.monotonic() + MESSAGE_SECONDS
        self._size += len(part.data.encode())
        if self._size > MAX_MESSAGE_BYTES:
            self.refuse(CloseReason.MESSAGE_TOO_BIG, "a message longer than 64 KiB")
            return None
        self._parts.append(part.data)
        if not part.message_finished:
            return None
        text = "".join(self._parts)
        self._parts, self._size = [], 0
        self._connection.deadline = None
        if is_client_packet(text):
            return text
        self.refuse(CloseReason.PROTOCOL_ERROR, "a message that is not a Socket.IO packet")
        return None


def text_frame(message: str) -> bytes:
    """Return the frame of a text message: the same for each of the many sockets it is sent to."""
    return _short_frame(message) if len(message) <= MAX_CACHED_LENGTH else _frame(message)


def _frame(message: str) -> bytes:
    return bytes(FrameProtocol(client=False, extensions=[]).send_data(message))


# As many prices as a pass may have.
_short_frame = lru_cache(maxsize=512)(_frame)


def connection_in(environ: WSGIEnvironment) -> Connection | None:
    """Return the connection of a request; None under another WSGI server."""
    connection: Any = environ.get(CONNECTION_KEY)
    return connection if isinstance(connection, Connection) else None
