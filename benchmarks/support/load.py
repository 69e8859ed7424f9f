"""Clients that ask a server over HTTP as fast as it answers, cheap beside what they measure.

One loop over sockets that are kept alive, in a process of its own (`apart`): a request costs it
some 20 microseconds, where `requests` would take a hundred times that from the server's cores.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import selectors
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """A request that one client repeats."""

    method: str
    path: str
    token: str | None = None
    body: Any = None

    def encoded(self) -> bytes:
        """Return it as it goes over the wire."""
        content = b"" if self.body is None else json.dumps(self.body).encode()
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1"]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if self.body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass(slots=True)
class Answers:
    """What came back: how many a second, how many of each status, how long each took (s)."""

    rate: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def require(self, *statuses: int) -> Answers:
        """Return it if every response had one of these; raise RuntimeError otherwise."""
        if not set(self.statuses) <= set(statuses):
            raise RuntimeError(f"not every response was {statuses}: {dict(self.statuses)}")
        return self


def drive(
    port: int,
    calls: Sequence[Call | tuple[Call, ...]],
    seconds: float,
    *,
    secure: bool = False,
) -> Answers:
    """Have each of `calls` repeated by a client of its own for `seconds`, all at once.

    Those of a tuple are made in turn. With `secure` by TLS, whose certificate is not checked.
    """
    answers = Answers()
    with ExitStack() as opened:
        selector = opened.enter_context(selectors.DefaultSelector())
        turns = [each if isinstance(each, tuple) else (each,) for each in calls]
        clients = [_Client(port, [call.encoded() for call in each], secure) for each in turns]
        for each in clients:
            opened.callback(each.socket.close)
            selector.register(each.socket, selectors.EVENT_READ, each)
        began = time.perf_counter()
        for each in clients:
            each.ask()
        end = began + seconds
        while (now := time.perf_counter()) < end:
            for key, _ in selector.select(end - now):
                client: _Client = key.data
                status = client.read()
                if status:
                    answers.statuses[status] += 1
                    answers.seconds.append(time.perf_counter() - client.asked_at)
                    client.ask()
        answers.rate = len(answers.seconds) / (time.perf_counter() - began)
        # A request left half done would disturb the next measurement.
        for each in clients:
            while not each.read():
                pass
    return answers


class _Client:
    def __init__(self, port: int, requests: Sequence[bytes], secure: bool) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        self._requests = itertools.cycle(requests)
        self._received = b""
        self.asked_at = 0.0

    def ask(self) -> None:
        self.asked_at = time.perf_counter()
        self.socket.sendall(next(self._requests))

    def read(self) -> int:
        """Read what is there; return the response's status once it is whole, 0 before."""
        part = self.socket.recv(65_536)
        if not part:
            raise ConnectionError("the server closed a connection that was to be kept")
        self._received += part
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return 0
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        if len(body) < int(length):
            return 0
        self._received = b""
        return int(head[9:12])


@contextmanager
def apart() -> Iterator[ProcessPoolExecutor]:
    """Give a process to `submit` the other side's work to; it has its own interpreter lock."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as process:
        yield process
