"""A thousand sockets: clients so light that two cores have room for them and for a server.

One loop in a process of its own speaks just enough WebSocket, Engine.IO and Socket.IO to sit in
rooms, answer pings, count prices and note when updates come. A delivery costs it some 3
microseconds; a python-socketio client would take a hundred times that.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

# Connecting at a time: more would only queue up at the server.
ABREAST = 50
TIMEOUT_SECONDS = 240.0
SWITCHING = b"HTTP/1.1 101 "
PRICE = b'42["live_price"'
PRICES = b'42["live_prices"'
UPDATE = b'42["trade_update"'


@dataclass(frozen=True, slots=True)
class Seat:
    """What one socket asks for: prices of symbols, and the events of the user it belongs to."""

    symbols: tuple[str, ...] = ()
    user_id: str | None = None
    token: str | None = None
    # Whether prices are to come as `live_prices`.
    batch: bool = False

    def requests(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the events it sends once connected."""
        asked: list[tuple[str, dict[str, Any]]] = []
        if self.user_id:
            asked.append(("join", {"user_id": self.user_id}))
        if self.symbols:
            how = {"batch": True} if self.batch else {}
            asked.append(("subscribe", {"symbols": list(self.symbols), **how}))
        return asked


class Audience:
    """Sockets of another process, controlled over a pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def connect(self, port: int, seats: Sequence[Seat]) -> None:
        """Seat a socket for each; return when all have what they asked for."""
        self._ask("connect", port, list(seats))

    def leave(self) -> None:
        """Close every socket."""
        self._ask("leave")

    def prices(self) -> int:
        """Return how many prices have come so far, over all sockets."""
        return int(self._ask("prices"))

    def price_messages(self) -> int:
        """Return how many `live_price` and `live_prices` have come so far, over all sockets."""
        return int(self._ask("price_messages"))

    def send(self, seat: int, event: str, *payload: Any) -> None:
        """Have a socket send an event; its acknowledgement is not requested."""
        self._ask("send", seat, event, *payload)

    def updates(self) -> list[tuple[int, float]]:
        """Return of each `trade_update` since the last question its seat, and when it came.

        Seats count from 0; the time is `time.monotonic()`, which all processes share.
        """
        return list(self._ask("updates"))

    def _ask(self, *question: Any) -> Any:
        self._pipe.send(question)
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def audience() -> Iterator[Audience]:
    """Start the process of the sockets; end it, and them, afterwards."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_sit, args=[theirs], daemon=True)
    process.start()
    theirs.close()
    try:
        yield Audience(ours)
    finally:
        ours.close()
        process.join()


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used so far, all its threads, to the nanosecond.

    Linux gives each process such a clock: clock_getcpuclockid(3).
    """
    return time.clock_gettime((~pid << 3) | 2)


def _sit(pipe: Connection) -> None:
    _Loop(pipe).run()


class _Loop:
    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipe, selectors.EVENT_READ)
        self._sockets: list[_Socket] = []
        self._heard = _Heard()

    def run(self) -> None:
        """Listen and answer until the other end of the pipe is closed."""
        while True:
            if not self._turn(None):
                continue
            try:
                question, *arguments = self._pipe.recv()
            except EOFError:
                return
            try:
                answer = getattr(self, f"_{question}")(*arguments)
            except Exception as error:
                answer = error
            self._pipe.send(answer)

    def _turn(self, seconds: float | None) -> bool:
        """Hear every socket that has something to say; tell whether there is a question."""
        asked = False
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                asked = True
            else:
                key.data.hear()
        return asked

    def _connect(self, port: int, seats: Sequence[Seat]) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        for start in range(0, len(seats), ABREAST):
            first = len(self._sockets)
            for number, seat in enumerate(seats[start : start + ABREAST], first):
                self._sockets.append(_Socket(port, seat, number, self._heard))
                self._selector.register(
                    self._sockets[-1].socket, selectors.EVENT_READ, self._sockets[-1]
                )
            while any(not each.is_seated for each in self._sockets[first:]):
                self._turn(1)
                if time.monotonic() > deadline:
                    raise TimeoutError("not every socket was let in")

    def _leave(self) -> None:
        for each in self._sockets:
            self._selector.unregister(each.socket)
            each.socket.close()
        self._sockets.clear()

    def _prices(self) -> int:
        return self._heard.prices

    def _price_messages(self) -> int:
        return self._heard.price_messages

    def _send(self, seat: int, event: str, *payload: Any) -> None:
        self._sockets[seat].send_event(event, *payload)

    def _updates(self) -> list[tuple[int, float]]:
        updates, self._heard.updates = self._heard.updates, []
        return updates


@dataclass(slots=True)
class _Heard:
    prices: int = 0
    price_messages: int = 0
    updates: list[tuple[int, float]] = field(default_factory=list)


class _Socket:
    """One client, from the handshake on."""

    def __init__(self, port: int, seat: Seat, number: int, heard: _Heard) -> None:
        # Users have different addresses, and the server limits the handshakes of each.
        address = f"127.0.1.{1 + number // ABREAST % 254}"
        self.socket = socket.create_connection(("127.0.0.1", port), source_address=(address, 0))
        self._seat = seat
        self._number = number
        self._heard = heard
        self._received = b""
        self._unanswered = -1
        self._read: Callable[[], None] = self._read_handshake
        self.socket.sendall(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )

    @property
    def is_seated(self) -> bool:
        """Whether it is connected and each of its requests was answered."""
        return self._unanswered == 0

    def send_event(self, event: str, *payload: Any) -> None:
        """Send an event without requesting its acknowledgement."""
        self._send(f"42{json.dumps([event, *payload])}")

    def hear(self) -> None:
        """Read what has come; raise ConnectionError where the server hung up."""
        part = self.socket.recv(65_536)
        if not part:
            raise ConnectionError("the server closed a socket")
        self._received += part
        self._read()

    def _read_handshake(self) -> None:
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        if not head.startswith(SWITCHING):
            raise ConnectionError(head.partition(b"\r\n")[0].decode())
        self._received = rest
        self._read = self._read_frames
        self._read_frames()

    def _read_frames(self) -> None:
        received, position = self._received, 0
        while len(received) - position >= 2:
            # A server's frames are not masked, and none here is longer than 65,535 bytes.
            length, start = received[position + 1], position + 2
            if length == 126:
                length, start = int.from_bytes(received[start : start + 2]), start + 2
            if len(received) < start + length:
                break
            position = start + length
            self._take(received[start:position])
        self._received = received[position:]

    def _take(self, message: bytes) -> None:
        if message.startswith(PRICE):
            self._heard.prices += 1
            self._heard.price_messages += 1
        elif message.startswith(PRICES):
            self._heard.prices += message.count(b'"symbol"')
            self._heard.price_messages += 1
        elif message.startswith(UPDATE):
            self._heard.updates.append((self._number, time.monotonic()))
        elif message == b"2":
            self._send("3")
        elif message.startswith(b"43"):
            if b'"ok":true' not in message:
                raise ConnectionError(message.decode())
            self._unanswered -= 1
        elif message.startswith(b"44"):
            raise ConnectionError(message.decode())
        elif message.startswith(b"40"):
            self._ask()
        elif message.startswith(b"0{"):
            self._send(f"40{json.dumps({'token': self._seat.token})}" if self._seat.token else "40")

    def _ask(self) -> None:
        requests = self._seat.requests()
        self._unanswered = len(requests)
        for number, request in enumerate(requests):
            self._send(f"42{number}{json.dumps(request)}")

    def _send(self, text: str) -> None:
        payload = text.encode()
        mask = os.urandom(4)
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2)
        masked = bytes(a ^ b for a, b in zip(payload, itertools.cycle(mask)))
        self.socket.sendall(b"\x81" + size + mask + masked)
