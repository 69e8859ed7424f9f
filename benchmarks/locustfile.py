"""The load scenario: users register, trade and follow their events, others watch prices.

    locust -f benchmarks/locustfile.py --host https://trading.example.com

`python -m benchmarks.load` starts everything that it needs, runs it and checks the result. A socket
that misses an event, receives one twice or is closed counts as a failed request.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import ssl
import time
import uuid
from collections.abc import Sequence
from typing import Any

# First: it makes the standard library cooperative.
from locust import FastHttpUser, User, between, constant, task
from locust.env import Environment
from locust.exception import RescheduleTask, StopUser

import gevent  # isort: skip
import websocket  # isort: skip

TRADERS = 100
SOCKETS_OF_A_TRADER = 5
WATCHERS = 500
SYMBOLS = ("^NSEI", "^BSESN", "RELIANCE.NS", "TCS.NS", "INFY.NS")
PASSWORD = "a-password-of-the-load"
MARGIN = 1_000_000_000
# Levels so near to the price that the market reaches one of them within minutes.
BRACKET = 0.002
# Every event must have arrived so many seconds after the last request.
SETTLE_SECONDS = 30.0
TIMEOUT_SECONDS = 60.0

PRICE = b'42["live_price"'

_numbers = itertools.count(1)


class Stream:
    """A Socket.IO connection by WebSocket, which is read by a greenlet of its own."""

    def __init__(self, environment: Environment, user_id: str = "", token: str = "") -> None:
        self.seq = 0
        self._environment = environment
        self._user_id = user_id
        self._closing = False
        self._reason = "by the server"
        begun = time.perf_counter()
        # The certificate of a trial is self-signed.
        self._socket = websocket.create_connection(
            f"{environment.host.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket",
            timeout=TIMEOUT_SECONDS,
            sslopt={"cert_reqs": ssl.CERT_NONE},
        )
        self._socket.recv()
        self._socket.send(f"40{json.dumps({'token': token})}" if token else "40")
        if user_id:
            self._emit("join", {"user_id": user_id, "since": 0})
        self._emit("subscribe", {"symbols": random.sample(SYMBOLS, 3)})
        self._note("connect", begun)
        self._reader = gevent.spawn(self._read)

    def wait_for(self, seq: int) -> None:
        """Wait until the event `seq` has arrived; note a failure if it does not."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while self.seq < seq and time.monotonic() < deadline:
            gevent.sleep(0.1)
        lost = seq - self.seq
        self._note("all events", error=f"{lost} events did not arrive" if lost else None)

    def close(self) -> None:
        self._closing = True
        self._socket.shutdown()
        self._reader.join()

    def _emit(self, event: str, payload: dict[str, Any]) -> None:
        self._socket.send(f"420{json.dumps([event, payload])}")

    def _read(self) -> None:
        received = b""
        while not self._closing:
            try:
                assert self._socket.sock is not None
                part = self._socket.sock.recv(65_536)
            except (OSError, ValueError) as error:
                # ValueError: another greenlet has closed the TLS socket.
                part = b""
                self._reason = str(error)
            if not part:
                if not self._closing:
                    self._note("connection", error=f"closed: {self._reason}")
                return
            received = self._take_frames(received + part)

    def _take_frames(self, received: bytes) -> bytes:
        """Handle the complete frames; return the rest.

        websocket-client takes thirty times as long, and would be slower than the server.
        """
        position = prices = 0
        while len(received) - position >= 4:
            # A server's frames are not masked, and none here is longer than 65,535 bytes.
            opcode, length = received[position] & 15, received[position + 1]
            start = position + 2
            if length == 126:
                length, start = int.from_bytes(received[start : start + 2]), start + 2
            if len(received) < start + length:
                break
            position = start + length
            message = received[start:position]
            if message.startswith(PRICE):
                prices += 1
            elif opcode == websocket.ABNF.OPCODE_CLOSE:
                self._reason = message[2:].decode()
            else:
                self._take(message.decode())
        # Without an event of locust: there are thousands of prices a second.
        self._environment.stats.get("live_price", "SOCKET").num_requests += prices
        return received[position:]

    def _take(self, message: str) -> None:
        if message == "2":
            self._socket.send("3")
        elif message.startswith('42["trade_update"'):
            self._follow(json.loads(message[2:])[1]["seq"])
        elif message.startswith("43") and '"ok":true' not in message:
            self._note("acknowledgement", error=message)
        elif message.startswith("44"):
            self._note("connection", error=message)

    def _follow(self, seq: int) -> None:
        expected, self.seq = self.seq + 1, seq
        kind = "lost" if seq > expected else "doubled"
        error = None if seq == expected else f"{kind}: event {seq} came instead of {expected}"
        self._note("trade_update", error=error)

    def _note(self, name: str, begun: float | None = None, error: str | None = None) -> None:
        self._environment.events.request.fire(
            request_type="SOCKET",
            name=name,
            response_time=(time.perf_counter() - begun) * 1_000 if begun else 0,
            response_length=0,
            exception=RuntimeError(error) if error else None,
            context={},
        )


class Trader(FastHttpUser):
    """Trades every two seconds, and follows the own events by several sockets."""

    fixed_count = TRADERS
    wait_time = between(1, 3)

    def on_start(self) -> None:
        """Register, sign in, open a portfolio and connect."""
        self._streams: list[Stream] = []
        email = f"load-{os.getpid()}-{next(_numbers)}@example.com"
        body = {"name": "Load", "email": email, "phone": "9876543210", "password": PASSWORD}
        self.client.post("/auth/register", json=body)
        signed_in = self.client.post("/auth/login", json={"email": email, "password": PASSWORD})
        if signed_in.status_code != 200:
            raise StopUser
        self._token = signed_in.json()["access_token"]
        self._user_id = signed_in.json()["client_id"]
        self._open_trades: list[str] = []
        self._post("/portfolio/create", initial_margin=MARGIN)
        self._streams = [
            Stream(self.environment, self._user_id, self._token) for _ in range(SOCKETS_OF_A_TRADER)
        ]

    def on_stop(self) -> None:
        """Close every trade, and wait until each socket has each event."""
        if not self._streams:
            # The start has failed, which locust has counted.
            return
        self._exit_all()
        newest = self._get("/notifications?limit=1", "/notifications")["notifications"]
        for stream in self._streams:
            stream.wait_for(newest[0]["seq"] if newest else 0)
        for stream in self._streams:
            stream.close()

    def _exit_all(self) -> None:
        """Exit everything, as all other traders do now; retry after a 503 with Retry-After."""
        path, name = f"/trades/exit-all/{self._user_id}", "/trades/exit-all/*"
        headers = {**self._headers, "Idempotency-Key": uuid.uuid4().hex}
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            with self.client.post(
                path, json={}, headers=headers, name=name, catch_response=True
            ) as response:
                wait = response.headers.get("Retry-After")
                if response.status_code != 503 or wait is None or time.monotonic() > deadline:
                    return
                response.success()
            gevent.sleep(float(wait))

    @task(6)
    def open_trade(self) -> None:
        """Open a trade with both levels."""
        symbol = random.choice(SYMBOLS)
        price = self._get(f"/market/live/{symbol.replace('^', '%5E')}", "/market/live/*")["price"]
        opened = self._post(
            "/trades/create",
            symbol=symbol,
            trade_type="BUY",
            quantity=random.randint(1, 9),
            # The tick size of the shares is 0.10.
            stop_loss=round(price * (1 - BRACKET), 1),
            target_price=round(price * (1 + BRACKET), 1),
        )
        self._open_trades.append(opened["trade_id"])

    @task(3)
    def exit_trade(self) -> None:
        """Exit the oldest trade; the market may have closed it."""
        if not self._open_trades:
            return
        path = f"/trades/exit/{self._open_trades.pop(0)}"
        with self.client.post(
            path, json={}, headers=self._headers, name="/trades/exit/*", catch_response=True
        ) as response:
            if response.status_code == 409 and response.json()["code"] == "trade_not_active":
                response.success()

    @task(2)
    def list_trades(self) -> None:
        """List the open trades."""
        self._get(f"/trades/{self._user_id}?status=ACTIVE", "/trades/*")

    @task(1)
    def show_portfolio(self) -> None:
        """Show the portfolio."""
        self._get(f"/portfolio/{self._user_id}", "/portfolio/*")

    @task(1)
    def show_performance(self) -> None:
        """Show the performance."""
        self._get(f"/trades/performance/{self._user_id}", "/trades/performance/*")

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _get(self, path: str, name: str) -> Any:
        return self._result_of(self.client.get(path, headers=self._headers, name=name))

    def _post(self, path: str, name: str | None = None, **body: Any) -> Any:
        return self._result_of(self.client.post(path, json=body, headers=self._headers, name=name))

    @staticmethod
    def _result_of(response: Any) -> Any:
        """Return the answer; end the task after an error, which locust has counted."""
        if response.status_code not in (200, 201):
            raise RescheduleTask
        return response.json()


class Watcher(User):
    """Follows prices without an account."""

    fixed_count = WATCHERS
    wait_time = constant(1)

    def on_start(self) -> None:
        self._stream = Stream(self.environment)

    def on_stop(self) -> None:
        self._stream.close()

    @task
    def watch(self) -> None:
        """Do nothing: prices arrive by themselves."""


USERS: Sequence[type[User]] = (Trader, Watcher)
