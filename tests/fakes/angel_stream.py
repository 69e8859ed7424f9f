"""A fake of Angel One's stream on localhost: WebSocket v2 of smartapi-python 1.5.5.

It checks the four headers, the subscriptions and the vendor's quotas, answers the text `ping`,
and sends the last price of each new subscription and 51-byte ticks. Attributes set its failures.
"""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

NSE, BSE = 1, 3
MAX_CLIENTS, MAX_TOKENS = 3, 1_000
HANDSHAKE_HEADERS = ("authorization", "x-api-key", "x-client-code", "x-feed-token")

Key = tuple[int, str]


def tick_frame(
    exchange_type: int, token: str, sequence: int, milliseconds: int, paise: int, *, mode: int = 1
) -> bytes:
    """Return the 51 bytes at the start of every tick with a price."""
    frame = bytearray(51)
    frame[0], frame[1] = mode, exchange_type
    frame[2 : 2 + len(token)] = token.encode()
    struct.pack_into("<q", frame, 27, sequence)
    struct.pack_into("<q", frame, 35, milliseconds)
    struct.pack_into("<q", frame, 43, paise)
    return bytes(frame)


def snap_quote_tail(
    *,
    bids: Sequence[int] = (),
    asks: Sequence[int] = (),
    volume: int = 0,
    day: tuple[int, int, int, int] = (0, 0, 0, 0),
    bands: tuple[int, int] = (0, 0),
) -> bytes:
    """Return what follows the 51 bytes in the mode SnapQuote, in paise.

    `day` is open, high, low and previous close, `bands` are the lower and the upper one. Up to
    five bids and asks, 10 units each, have a place each; the others are empty.
    """
    tail = bytearray(379 - 51)
    struct.pack_into("<q", tail, 67 - 51, volume)
    struct.pack_into("<qqqq", tail, 91 - 51, *day)
    orders = [(1, price) for price in bids] + [(0, price) for price in asks]
    for level, (side, price) in enumerate(orders):
        struct.pack_into("<HqqH", tail, 147 - 51 + level * 20, side, 10, price, 1)
    struct.pack_into("<qq", tail, 347 - 51, bands[1], bands[0])
    return bytes(tail)


@dataclass(eq=False)
class Client:
    """One connection, from its first byte."""

    socket: socket.socket
    websocket: WSConnection = field(default_factory=lambda: WSConnection(ConnectionType.SERVER))
    subscribed: set[Key] = field(default_factory=set)
    is_open: bool = False
    pings: int = 0
    is_silent: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, *events: Event) -> None:
        """Send messages in one packet."""
        # The client may disconnect at any time.
        with self.lock, suppress(OSError, LocalProtocolError):
            self.socket.sendall(b"".join(self.websocket.send(event) for event in events))

    def hang_up(self, *, reset: bool = False) -> None:
        """Let the serving thread close the connection, by a reset if requested."""
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with suppress(OSError):
            # This ends the read of the serving thread, which then closes the connection.
            socket.socket.shutdown(self.socket, socket.SHUT_RD)


class AngelStreamServer:
    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        """Serve at `host`, with a `certificate` (and its key) over TLS; port 0 is a free one."""
        self._host = host
        self._tls: ssl.SSLContext | None = None
        if certificate:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(*certificate)
        self._port = port
        self._sequence = itertools.count(1)
        self._lock = threading.Lock()
        # Paise, sent right after a subscription.
        self.last_prices: dict[Key, int] = {}
        self.credentials: tuple[str, str, str, str] = ("", "", "", "")
        self.clients: list[Client] = []
        self.connections = 0
        self.handshakes: list[tuple[int, dict[str, str]]] = []
        self.requests: list[dict[str, Any]] = []
        self.violations: list[str] = []
        # Failures: the status of each handshake, with body and headers; no handshake, or one byte
        # at a time; no messages; the error code of each request.
        self.refuse_with: int | None = None
        self.refuse_wrong_credentials_with = 401
        self.refusal: tuple[bytes, dict[str, str]] = (b"", {})
        self.mute_handshakes = False
        self.drip_handshakes = False
        self.silent = False
        self.refuse_requests_with: str | None = None

    @property
    def url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://{self._host}:{self._port}/smart-stream"

    def expect(self, api_key: str, client_code: str, jwt: str, feed_token: str) -> None:
        """Accept only these credentials."""
        self.credentials = (f"Bearer {jwt}", api_key, client_code, feed_token)

    @contextmanager
    def open(self) -> Iterator[AngelStreamServer]:
        """Listen; close every connection at the end."""
        listener = socket.create_server((self._host, self._port))
        self._port = listener.getsockname()[1]
        threads: list[threading.Thread] = []
        accepting = threading.Thread(target=self._accept, args=[listener, threads])
        accepting.start()
        try:
            yield self
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            listener.close()
            self.hang_up()
            for thread in threads:
                thread.join()

    # Sending.

    def tick(
        self,
        token: str,
        paise: int,
        *,
        exchange_type: int = NSE,
        sequence: int | None = None,
        milliseconds: int | None = None,
        mode: int = 1,
        tail: bytes = b"",
    ) -> bytes:
        """Send a tick to the subscribers of the instrument; return its bytes."""
        frame = tick_frame(
            exchange_type,
            token,
            next(self._sequence) if sequence is None else sequence,
            time.time_ns() // 1_000_000 if milliseconds is None else milliseconds,
            paise,
            mode=mode,
        )
        for client in self._open_clients():
            if (exchange_type, token) in client.subscribed and not self._is_silent(client):
                client.send(BytesMessage(data=frame + tail))
        return frame

    def send(self, *messages: bytes | str) -> None:
        """Send messages to every client in one packet, whatever its subscriptions."""
        for client in self._open_clients():
            client.send(
                *(
                    TextMessage(data=message)
                    if isinstance(message, str)
                    else BytesMessage(data=message)
                    for message in messages
                )
            )

    def send_raw(self, octets: bytes) -> None:
        """Send raw bytes, outside the WebSocket protocol."""
        for client in self._open_clients():
            with client.lock, suppress(OSError):
                client.socket.sendall(octets)

    def close(self, code: int = 1001) -> None:
        """Close every connection with a close frame."""
        for client in self._open_clients():
            client.send(CloseConnection(code=code))

    def hang_up(self, *, reset: bool = False) -> None:
        """Close every connection without a close frame."""
        for client in list(self.clients):
            client.hang_up(reset=reset)

    @property
    def subscribed(self) -> set[Key]:
        """The subscriptions of all connections."""
        return set().union(*(client.subscribed for client in self._open_clients()))

    @property
    def answered(self) -> int:
        """The number of open connections whose first ping was answered."""
        return sum(client.pings > 0 for client in self._open_clients())

    def _open_clients(self) -> list[Client]:
        return [client for client in list(self.clients) if client.is_open]

    # Receiving.

    def _accept(self, listener: socket.socket, threads: list[threading.Thread]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=[connection])
            threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        self.connections += 1
        client = Client(connection)
        self.clients.append(client)
        try:
            if self._tls:
                connection.settimeout(10)
                client.socket = self._tls.wrap_socket(connection, server_side=True)
                client.socket.settimeout(None)
            while octets := client.socket.recv(65_536):
                client.websocket.receive_data(octets)
                for event in client.websocket.events():
                    self._react(client, event)
        except (OSError, LocalProtocolError, RemoteProtocolError):
            pass
        finally:
            client.is_open = False
            self.clients.remove(client)
            with client.lock:
                client.socket.close()

    def _is_silent(self, client: Client) -> bool:
        return self.silent or client.is_silent

    def _react(self, client: Client, event: Event) -> None:
        match event:
            case Request() if not self.mute_handshakes:
                self._shake_hands(client, event)
            case TextMessage() if not self._is_silent(client):
                self._answer(client, event.data)
            case Ping() if not self._is_silent(client):
                client.send(event.response())
            case CloseConnection():
                client.send(event.response())
                client.hang_up()

    def _shake_hands(self, client: Client, request: Request) -> None:
        headers = {name.decode(): value.decode() for name, value in request.extra_headers}
        with self._lock:
            status = self._status_of(headers)
            self.handshakes.append((status, headers))
            client.is_open = status == 101
        if self.drip_handshakes:
            self._drip(client)
        elif client.is_open:
            client.send(AcceptConnection())
        else:
            self._refuse(client, status)

    def _refuse(self, client: Client, status: int) -> None:
        body, extra = self.refusal
        reply = [(b"content-length", str(len(body)).encode())]
        reply += [(name.encode(), value.encode()) for name, value in extra.items()]
        client.send(
            RejectConnection(status_code=status, headers=reply, has_body=True),
            RejectData(data=body),
        )

    def _drip(self, client: Client) -> None:
        with suppress(OSError):
            for octet in client.websocket.send(AcceptConnection()):
                client.socket.sendall(bytes([octet]))
                time.sleep(0.05)

    def _status_of(self, headers: dict[str, str]) -> int:
        if self.refuse_with:
            return self.refuse_with
        if tuple(headers.get(name, "") for name in HANDSHAKE_HEADERS) != self.credentials:
            return self.refuse_wrong_credentials_with
        return 101 if len(self._open_clients()) < MAX_CLIENTS else 429

    def _answer(self, client: Client, text: str) -> None:
        if text == "ping":
            client.pings += 1
            client.send(TextMessage(data="pong"))
            return
        try:
            request = json.loads(text)
            correlation, action = request["correlationID"], request["action"]
            keys = set(_keys_of(request["params"]))
            assert len(correlation) == 10, "a correlationID has 10 characters"
            assert action in (0, 1), "an action is 0 or 1"
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            self.violations.append(f"{type(error).__name__}: {error}")
            return
        self.requests.append(request)
        code = self.refuse_requests_with
        if action == 1 and len(client.subscribed | keys) > MAX_TOKENS:
            code = "E1002"
        if code:
            refusal = {"correlationID": correlation, "errorCode": code, "errorMessage": "Refused"}
            client.send(TextMessage(data=json.dumps(refusal)))
        elif action == 0:
            client.subscribed -= keys
        else:
            client.subscribed |= keys
            self._send_last_prices(client, keys)

    def _send_last_prices(self, client: Client, keys: Iterable[Key]) -> None:
        now = time.time_ns() // 1_000_000
        known = sorted(key for key in keys if key in self.last_prices)
        frames = (
            tick_frame(*key, next(self._sequence), now, self.last_prices[key]) for key in known
        )
        client.send(*(BytesMessage(data=frame) for frame in frames))


def _keys_of(params: dict[str, Any]) -> Iterator[Key]:
    assert params["mode"] in (1, 3), "the mode is LTP or SnapQuote"
    for listed in params["tokenList"]:
        assert listed["exchangeType"] in (NSE, BSE), "an exchange type is 1 or 3"
        assert listed["tokens"], "tokens are listed"
        for token in listed["tokens"]:
            assert isinstance(token, str), "a token is a string"
            yield listed["exchangeType"], token
