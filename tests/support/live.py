"""Users of a server that runs as a process: REST over HTTP, events over Socket.IO."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.support.server import Server
from tests.support.sockets import InOrderClient
from tests.support.users import PASSWORD, registration

T = TypeVar("T")
_numbers = itertools.count(1)


def eventually(check: Callable[[], T], timeout: float = 15) -> T:
    """Call `check` until it returns something true, and return that; fail after `timeout` s."""
    deadline = time.monotonic() + timeout
    while True:
        result = check()
        if result:
            return result
        assert time.monotonic() < deadline, f"{check} returned nothing true in {timeout} s"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not status.parent.parent.exists()


class LiveTrader:
    """A registered, signed-in user of a server that runs as a process."""

    def __init__(self, server: Server, **changes: Any) -> None:
        number = next(_numbers)
        body = registration(email=f"live{os.getpid()}.{number}@example.com", **changes)
        self.server = server
        self.email = body["email"]
        self.password = body["password"]
        registered = server.request("POST", "/auth/register", json=body)
        assert registered.status_code == 201, registered.text
        self.client_id = registered.json()["client_id"]
        self.token = self.sign_in().json()["access_token"]

    def sign_in(self, password: str = PASSWORD) -> requests.Response:
        body = {"email": self.email, "password": password}
        return self.server.request("POST", "/auth/login", json=body)

    def get(self, path: str) -> requests.Response:
        return self.server.request("GET", path, self.token)

    def post(self, path: str, **body: Any) -> requests.Response:
        return self.server.request("POST", path, self.token, json=body)

    def open_portfolio(self, initial_margin: float = 1_000_000_000) -> dict[str, Any]:
        opened = self.post("/portfolio/create", initial_margin=initial_margin)
        assert opened.status_code == 201, opened.text
        portfolio: dict[str, Any] = opened.json()
        return portfolio

    def portfolio(self) -> dict[str, Any]:
        portfolio: dict[str, Any] = self.get(f"/portfolio/{self.client_id}").json()
        return portfolio

    def order(
        self, symbol: str = "^NSEI", trade_type: str = "BUY", **order: Any
    ) -> requests.Response:
        """Order one share; `order` replaces fields. Return the response, also an error."""
        body = {"symbol": symbol, "trade_type": trade_type, "quantity": 1, **order}
        return self.post("/trades/create", **body)

    def create_trade(self, *args: Any, **order: Any) -> dict[str, Any]:
        """Open a trade; a process that is held up may have no price for a moment."""

        def answers() -> list[requests.Response]:
            answer = self.order(*args, **order)
            return [] if answer.status_code == 503 else [answer]

        (created,) = eventually(answers, 60)
        assert created.status_code == 201, created.text
        trade: dict[str, Any] = created.json()
        return trade

    def trades(self, query: str = "?limit=500") -> list[dict[str, Any]]:
        listed = self.get(f"/trades/{self.client_id}{query}")
        assert listed.status_code == 200, listed.text
        return list(listed.json()["trades"])

    def trade(self, trade_id: str) -> dict[str, Any]:
        return next(trade for trade in self.trades() if trade["trade_id"] == trade_id)

    def price(self, symbol: str = "^NSEI") -> float:
        return float(self.get(f"/market/live/{symbol}").json()["price"])


class Listener:
    """A Socket.IO client that records its events, for tests to wait on."""

    def __init__(self, server: Server, token: str | None, transport: str = "websocket"):
        self.prices: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self.client = InOrderClient(reconnection=False)
        self.client.on("live_price", lambda payload: self._keep(self.prices, payload))
        self.client.on("trade_update", lambda payload: self._keep(self.updates, payload))
        self.client.connect(
            server.url, auth={"token": token} if token else None, transports=[transport]
        )

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()

    def call(self, event: str, **payload: Any) -> dict[str, Any]:
        """Send an event and return its acknowledgement."""
        acknowledgement: dict[str, Any] = self.client.call(event, payload, timeout=10)
        return acknowledgement

    def wait_for_update(
        self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 15
    ) -> dict[str, Any]:
        """Return the first trade_update, past or future, for which `wanted` is true."""
        return self._wait_for(self.updates, wanted, timeout)

    def wait_for_price(
        self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 15
    ) -> dict[str, Any]:
        """Return the first live_price, past or future, for which `wanted` is true."""
        return self._wait_for(self.prices, wanted, timeout)

    def _keep(self, received: list[dict[str, Any]], payload: dict[str, Any]) -> None:
        with self._changed:
            received.append(payload)
            self._changed.notify_all()

    def _wait_for(
        self,
        received: list[dict[str, Any]],
        wanted: Callable[[dict[str, Any]], bool],
        timeout: float,
    ) -> dict[str, Any]:
        def find() -> dict[str, Any] | None:
            return next((payload for payload in received if wanted(payload)), None)

        with self._changed:
            found = self._changed.wait_for(find, timeout)
        assert found, f"not received in {timeout} s; received {received}"
        return found
