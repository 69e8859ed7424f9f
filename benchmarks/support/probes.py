"""What one client sees while a crowd is served: how late prices are, how long answers take."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import websocket

from benchmarks.support.load import Call

TIMEOUT_SECONDS = 60.0


class PriceProbe:
    """A socket that notes of each price how long after its tick it came."""

    def __init__(self, port: int, symbols: Sequence[str]) -> None:
        url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        self._socket = websocket.create_connection(url, timeout=TIMEOUT_SECONDS)
        self._symbols = list(symbols)
        self._lags: list[float] = []
        self._closing = threading.Event()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Subscribe and listen until the block ends."""
        self._socket.recv()
        self._socket.send("40")
        self._socket.send(f'420["subscribe",{json.dumps({"symbols": self._symbols})}]')
        thread = threading.Thread(target=self._listen, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._closing.set()
            self._socket.close()
            thread.join()

    def lags(self) -> list[float]:
        """Return the seconds from tick to arrival of each price since the last question."""
        lags, self._lags = self._lags, []
        return lags

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                message = str(self._socket.recv())
            except (OSError, websocket.WebSocketException):
                if self._closing.is_set():
                    return
                raise
            if message == "2":
                self._socket.send("3")
            elif message.startswith('42["live_price"'):
                price = json.loads(message[2:])[1]
                sent_at = datetime.fromisoformat(price["timestamp"]).timestamp()
                self._lags.append(time.time() - sent_at)


class RequestProbe:
    """A client that makes so many requests a second, each call in its turn."""

    def __init__(self, port: int, calls: Sequence[Call], a_second: float) -> None:
        self._port = port
        self._calls = itertools.cycle(calls)
        self._interval = 1 / a_second
        self._seconds: list[float] = []
        self._failures: list[str] = []
        self._closing = threading.Event()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask until the block ends."""
        thread = threading.Thread(target=self._ask, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._closing.set()
            thread.join()

    def answers(self) -> tuple[list[float], list[str]]:
        """Return the seconds of each response since the last call, and the failures."""
        seconds, self._seconds = self._seconds, []
        failures, self._failures = self._failures, []
        return seconds, failures

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        due = time.monotonic()
        while not self._closing.wait(max(due - time.monotonic(), 0)):
            # From when it was due: a slow answer does not hide how long the next one waits.
            self._ask_once(connection, next(self._calls))
            self._seconds.append(time.monotonic() - due)
            due += self._interval
        connection.close()

    def _ask_once(self, connection: http.client.HTTPConnection, call: Call) -> None:
        body = None if call.body is None else json.dumps(call.body)
        headers = {"Authorization": f"Bearer {call.token}"}
        if body:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(call.method, call.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._failures.append(repr(error))
            connection.close()
            return
        if answer.status not in (200, 201):
            self._failures.append(f"{answer.status} {content[:200]!r}")
