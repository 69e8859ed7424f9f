"""Attacks of one hostile client on a server on loopback, for a few seconds.

`python -m tests.support.attack KIND PORT SECONDS ADDRESS [CERTIFICATE]` runs one attack from an
address, by TLS if a certificate is given, and prints the number of connections it used and of bytes
it sent. It runs in its own process, so that it takes no time from the test that measures.
"""

from __future__ import annotations

import itertools
import json
import os
import selectors
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

HOST = "127.0.0.1"
CLOSED = (ConnectionError, TimeoutError, OSError)
MAX_CONNECTIONS = 1_100
HANDSHAKE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
TEXT, BINARY, PING = 1, 2, 9


def frame(payload: bytes, opcode: int = TEXT, *, final: bool = True, announced: int = 0) -> bytes:
    """Return a masked frame; `announced` is the length in its header, if not the payload's."""
    length = announced or len(payload)
    head = bytes([(0x80 if final else 0) | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 65_536:
        head += bytes([0x80 | 126]) + struct.pack("!H", length)
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", length)
    return head + bytes(4) + payload


class Attacker:
    """Counts its connections and the bytes it sends, until its time is over."""

    def __init__(
        self, port: int, seconds: float, address: str, certificate: str | None = None
    ) -> None:
        self.port = port
        self.address = address
        self._tls = ssl.create_default_context(cafile=certificate) if certificate else None
        self.end = time.monotonic() + seconds
        self.connections = 0
        self.sent = 0

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.end

    def connect(self) -> socket.socket:
        self.connections += 1
        plain = socket.create_connection((HOST, self.port), 5, source_address=(self.address, 0))
        return self._tls.wrap_socket(plain, server_hostname=HOST) if self._tls else plain

    def websocket(self, *, connected: bool = True) -> socket.socket:
        """Return a WebSocket after its handshake and, if `connected`, its CONNECT packet."""
        client = self.connect()
        client.sendall(HANDSHAKE)
        assert client.recv(65_536).startswith(b"HTTP/1.1 101"), "no handshake"
        if connected:
            client.sendall(frame(b"40"))
        return client

    def flood(self, first: bytes, repeated: bytes, *, connected: bool = True) -> None:
        """Send as fast as the server reads; reconnect when it closes."""
        while not self.is_over:
            # Reconnect immediately if the server refuses.
            with suppress(*CLOSED, AssertionError), self.websocket(connected=connected) as client:
                client.sendall(first)
                while not self.is_over:
                    client.sendall(repeated)
                    self.sent += len(repeated)
                    self._read(client)

    def _read(self, client: socket.socket) -> None:
        client.setblocking(False)
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            if not client.recv(65_536):
                raise ConnectionError
        client.settimeout(5)

    def hold(self, openings: Iterator[bytes], drip: bytes = b"") -> None:
        """Open many connections, send each its opening, then `drip` every 0.2 s."""
        clients: list[socket.socket] = []
        for opening in itertools.islice(openings, MAX_CONNECTIONS):
            with suppress(*CLOSED):
                client = self.connect()
                clients.append(client)
                client.sendall(opening)
        while not self.is_over:
            for client in clients:
                with suppress(*CLOSED):
                    if drip:
                        client.sendall(drip)
            time.sleep(0.2)
        for client in clients:
            client.close()

    def request_repeatedly(self, request: bytes, clients: int) -> None:
        """Send requests over several connections, each the next one after a response."""
        selector = selectors.DefaultSelector()

        def begin() -> None:
            with suppress(*CLOSED):
                client = self.connect()
                client.sendall(request)
                selector.register(client, selectors.EVENT_READ)

        for _ in range(clients):
            begin()
        while not self.is_over:
            for key, _ in selector.select(0.1):
                client = key.fileobj
                assert isinstance(client, socket.socket)
                try:
                    if not client.recv(65_536):
                        raise ConnectionError
                    client.sendall(request)
                    self.sent += len(request)
                except OSError:
                    selector.unregister(client)
                    client.close()
                    begin()


def polling_flood(attacker: Attacker) -> None:
    """Send polling payloads with as many packets as fit."""
    path = "/socket.io/?EIO=4&transport=polling"
    while not attacker.is_over:
        with suppress(*CLOSED, ValueError, KeyError), attacker.connect() as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            answer = client.recv(65_536).decode()
            sid = json.loads(answer.partition("\r\n\r\n0")[2])["sid"]
            body = b"\x1e".join([b"3"] * 20_000)
            head = (
                f"POST {path}&sid={sid} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            while not attacker.is_over:
                client.sendall(head.encode() + body)
                attacker.sent += len(body)
                if b" 200 " not in client.recv(65_536)[:20]:
                    break


def silent_reader(attacker: Attacker) -> None:
    """Subscribe repeatedly, and read nothing."""
    names = json.dumps([f"{name}.NS" for name in ("RELIANCE", "TCS", "INFY", "ITC", "SBIN")])
    subscribe = frame(f'42["subscribe",{{"symbols":{names}}}]'.encode())
    clients: list[socket.socket] = []
    while not attacker.is_over:
        with suppress(*CLOSED, AssertionError):
            client = attacker.websocket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            clients.append(client)
            for _ in range(200):
                client.sendall(subscribe)
                attacker.sent += len(subscribe)
        time.sleep(0.05)


def handshakes(attacker: Attacker) -> None:
    """Open WebSockets and send no packet."""
    clients: list[socket.socket] = []
    while not attacker.is_over and len(clients) < MAX_CONNECTIONS:
        with suppress(*CLOSED, AssertionError):
            clients.append(attacker.websocket(connected=False))
    while not attacker.is_over:
        time.sleep(0.1)


def login() -> bytes:
    body = b'{"email":"unknown@example.com","password":"wrong password"}'
    return (
        b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def _of_frames(payload: bytes, opcode: int = TEXT) -> Callable[[Attacker], None]:
    return lambda attacker: attacker.flood(b"", frame(payload, opcode) * 500)


BODY_HEAD = b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n{"
CHUNKS_HEAD = b"POST /auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
ATTACKS: dict[str, Callable[[Attacker], None]] = {
    "bad packets": _of_frames(b"49"),
    "unknown types": _of_frames(b"9"),
    "engine pings": _of_frames(b"2"),
    "engine pongs": _of_frames(b"3"),
    "upgrades": _of_frames(b"5"),
    "websocket pings": _of_frames(b"ping", PING),
    "disconnects": _of_frames(b"41"),
    "namespaces": _of_frames(b"40/zz,"),
    "acknowledgements": _of_frames(b"431[]"),
    "events": _of_frames(b'42["leave",{"user_id":"me"}]'),
    "deep json": _of_frames(b"42" + b"[" * 60_000),
    "binary frames": _of_frames(b"\x00" * 100, BINARY),
    "attachments": lambda attacker: attacker.flood(
        frame(b'45999999999-["subscribe",{"_placeholder":true,"num":0}]'),
        frame(b"\x00" * 60_000, BINARY),
    ),
    "unfinished frames": lambda attacker: attacker.flood(
        b"", frame(b"4" * 60_000, announced=2**40)
    ),
    "endless fragments": lambda attacker: attacker.flood(
        frame(b"4", final=False), frame(b"x" * 30_000, 0, final=False)
    ),
    "empty fragments": lambda attacker: attacker.flood(
        frame(b"4", final=False), frame(b"", 0, final=False) * 5_000
    ),
    "unconnected sockets": handshakes,
    "polling": polling_flood,
    "silent reader": silent_reader,
    "idle connections": lambda attacker: attacker.hold(itertools.repeat(b"")),
    "half headers": lambda attacker: attacker.hold(
        itertools.repeat(b"GET /health/live HTTP/1.1\r\nX: "), b"a"
    ),
    "half bodies": lambda attacker: attacker.hold(itertools.repeat(BODY_HEAD), b" "),
    "endless chunks": lambda attacker: attacker.hold(itertools.repeat(CHUNKS_HEAD), b"1\r\n \r\n"),
    "sign-ins": lambda attacker: attacker.request_repeatedly(login(), 60),
}


def main() -> None:
    kind, port, seconds, *rest = sys.argv[1:]
    attacker = Attacker(int(port), float(seconds), *rest)
    ATTACKS[kind](attacker)
    print(json.dumps({"connections": attacker.connections, "bytes": attacker.sent}))
    sys.stdout.flush()
    # The system closes the sockets: closing them one by one takes long.
    os._exit(0)


if __name__ == "__main__":
    main()
