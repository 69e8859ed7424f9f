"""People at the other end of a real connection: REST over HTTP, events over a socket."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.support.server import ServerProcess
from tests.support.sockets import InOrderClient
from tests.support.users import PASSWORD, registration

T = TypeVar("T")
_numbers = itertools.count(1)


def eventually(check: Callable[[], T], timeout: float = 15) -> T:
    """Return the first true answer of `check`; fail where there is none in time."""
    deadline = time.monotonic() + timeout
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"no true answer of {check} in {timeout} s"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Tell whether a process is there; one that ended and was not yet buried is not."""
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

    def __init__(self, server: ServerProcess, **changes: Any) -> None:
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
        return opened.json()

    def portfolio(self) -> dict[str, Any]:
        return self.get(f"/portfolio/{self.client_id}").json()

    def order(self, symbol: str = "^NSEI", trade_type: str = "BUY", **order: Any) -> Any:
        """Send an order for one piece, changed as told; return the answer whatever it is."""
        body = {"symbol": symbol, "trade_type": trade_type, "quantity": 1, **order}
        return self.post("/trades/create", **body)

    def create_trade(self, *args: Any, **order: Any) -> dict[str, Any]:
        created = self.order(*args, **order)
        assert created.status_code == 201, created.text
        return created.json()

    def trades(self, query: str = "?limit=500") -> list[dict[str, Any]]:
        listed = self.get(f"/trades/{self.client_id}{query}")
        assert listed.status_code == 200, listed.text
        return listed.json()["trades"]

    def trade(self, trade_id: str) -> dict[str, Any]:
        return next(each for each in self.trades() if each["trade_id"] == trade_id)

    def price(self, symbol: str = "^NSEI") -> float:
        return self.get(f"/market/live/{symbol}").json()["price"]


class Listener:
    """A Socket.IO client that keeps what it hears, for tests to wait on."""

    def __init__(self, server: ServerProcess, token: str | None, transport: str = "websocket"):
        self.prices: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []
        self._news = threading.Condition()
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

    def ask(self, event: str, **payload: Any) -> dict[str, Any]:
        """Send an event and return its acknowledgement."""
        return self.client.call(event, payload, timeout=10)

    def wait_for_update(
        self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 15
    ) -> dict[str, Any]:
        """Return the first trade_update that is wanted, heard already or soon."""
        return self._wait_for(self.updates, wanted, timeout)

    def wait_for_price(
        self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 15
    ) -> dict[str, Any]:
        """Return the first live_price that is wanted, heard already or soon."""
        return self._wait_for(self.prices, wanted, timeout)

    def _keep(self, heard: list[dict[str, Any]], payload: dict[str, Any]) -> None:
        with self._news:
            heard.append(payload)
            self._news.notify_all()

    def _wait_for(
        self,
        heard: list[dict[str, Any]],
        wanted: Callable[[dict[str, Any]], bool],
        timeout: float,
    ) -> dict[str, Any]:
        def find() -> dict[str, Any] | None:
            return next((each for each in heard if wanted(each)), None)

        with self._news:
            found = self._news.wait_for(find, timeout)
        assert found, f"not heard in {timeout} s; heard {heard}"
        return found
