"""Load: customers who trade without pause and record every response."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import requests

from tests.support.recording import BASES
from tests.support.server import Server
from tests.support.users import PASSWORD, registration

RESPONSE_SECONDS = 40
MARGIN = 1_000_000_000
# Statuses that are expected besides success: a level on the wrong side or too little margin (400),
# a trade closed in the meantime (409), an outage (503).
EXPECTED_ERRORS = (400, 409, 503)


@dataclass
class Operation:
    """One request, all its attempts, and the response, if any."""

    kind: str
    user_id: str
    path: str
    body: dict[str, Any]
    key: str | None = None
    status: int | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    attempts: int = 0
    trade_id: str | None = None

    @property
    def is_repeatable(self) -> bool:
        return self.key is not None or "client_order_id" in self.body

    @property
    def succeeded(self) -> bool:
        return self.status in (200, 201)

    @property
    def is_open(self) -> bool:
        """Whether the server may have executed it without a response."""
        if self.status == 503:
            # Nothing is executed without a price.
            return bool(self.answer.get("code") != "market_data_unavailable")
        return self.status is None


class Customer(threading.Thread):
    """One user, who sends one request after another, chosen by a seed."""

    def __init__(self, server: Server, name: str, seed: str) -> None:
        super().__init__(name=name, daemon=True)
        self._server = server
        self._random = random.Random(f"{seed}/{name}")
        self._ending = threading.Event()
        self._numbers = itertools.count(1)
        self._http = requests.Session()
        self.operations: list[Operation] = []
        self.faults: list[str] = []
        self.latest_success = 0.0
        self._open_trades: list[str] = []
        self.user_id = ""
        self.token = ""

    def sign_up(self) -> None:
        """Register, sign in and open a portfolio."""
        # The client_id is the name, so that a seed repeats a run.
        body = registration(client_id=self.name)
        registered = self._server.request("POST", "/auth/register", json=body)
        assert registered.status_code == 201, registered.text
        self.user_id = registered.json()["client_id"]
        login = {"email": body["email"], "password": PASSWORD}
        self.token = self._server.request("POST", "/auth/login", json=login).json()["access_token"]
        opened = self._server.request(
            "POST", "/portfolio/create", self.token, json={"initial_margin": MARGIN}
        )
        assert opened.status_code == 201, opened.text

    def run(self) -> None:
        actions = [self.create, self.exit, self.exit_all, self.move, self.repeat, self.look]
        with self._http:
            while not self._ending.is_set():
                (action,) = self._random.choices(actions, weights=[68, 14, 1, 4, 5, 8])
                action()

    def stop(self) -> None:
        self._ending.set()

    def create(self) -> None:
        """Create a trade, mostly with levels that the next swing of the market reaches."""
        symbol = self._random.choice(list(BASES))
        side = self._random.choice(["BUY", "SELL"])
        body: dict[str, Any] = {
            "symbol": symbol,
            "trade_type": side,
            "quantity": self._random.randint(1, 9),
        }
        sign = 1 if side == "BUY" else -1
        for level, direction in (("stop_loss", -sign), ("target_price", sign)):
            if self._random.random() < 0.8:
                share = self._random.uniform(0.01, 0.05)
                # A tenth of a rupee is a multiple of every tick size here.
                body[level] = round(BASES[symbol] * (1 + direction * share), 1)
        operation = Operation("create", self.user_id, "/trades/create", body)
        manner = self._random.random()
        if manner < 0.3:
            body["client_order_id"] = f"order-{next(self._numbers)}"
        elif manner < 0.6:
            operation.key = self._new_key()
        self._do(operation)
        if operation.succeeded:
            self._open_trades.append(operation.answer["trade_id"])

    def exit(self) -> None:
        """Exit one of the trades not exited yet; it may be closed already."""
        if not self._open_trades:
            return
        trade_id = self._open_trades.pop(self._random.randrange(len(self._open_trades)))
        key = self._new_key() if self._random.random() < 0.5 else None
        self._do(
            Operation(
                "exit", self.user_id, f"/trades/exit/{trade_id}", {}, key=key, trade_id=trade_id
            )
        )

    def exit_all(self) -> None:
        key = self._new_key() if self._random.random() < 0.7 else None
        operation = Operation(
            "exit_all", self.user_id, f"/trades/exit-all/{self.user_id}", {}, key=key
        )
        self._do(operation)
        if operation.succeeded:
            self._open_trades.clear()

    def move(self) -> None:
        """Deposit or withdraw money, always with a key."""
        kind = self._random.choice(["deposit", "withdraw"])
        path = f"/portfolio/{self.user_id}/{kind}"
        body = {"amount": self._random.randint(1, 100_000) / 100}
        self._do(Operation("move", self.user_id, path, body, key=self._new_key()))

    def repeat(self) -> None:
        """Repeat an answered request: the response must equal the first one."""
        earlier = [
            operation
            for operation in self.operations
            if operation.succeeded and operation.is_repeatable
        ]
        if not earlier:
            return
        operation = self._random.choice(earlier)
        answer = self._send(operation)
        if answer is not None and answer.status_code != 503:
            again = answer.json()
            if not answer.ok or again != operation.answer:
                self.faults.append(f"{operation} was answered with {again} when repeated")

    def look(self) -> None:
        """Read the portfolio: it must always balance."""
        answer = self._try("GET", f"/portfolio/{self.user_id}")
        if answer is None or answer.status_code == 503:
            return
        book = answer.json()
        left = round(book["available_margin"] + book["utilized_margin"], 2)
        moved = book["deposits"] - book["withdrawals"]
        if left != round(book["initial_margin"] + moved + book["total_pnl"], 2):
            self.faults.append(f"a portfolio that does not balance: {book}")

    def _do(self, operation: Operation) -> None:
        self.operations.append(operation)
        while True:
            self.attempt(operation)
            if not operation.is_open or not operation.is_repeatable or self._ending.is_set():
                return
            self._ending.wait(0.05)

    def attempt(self, operation: Operation) -> requests.Response | None:
        """Send a request once; record and return the response, if any."""
        operation.attempts += 1
        answer = self._send(operation)
        if answer is not None:
            operation.answer = answer.json()
            operation.status = answer.status_code
            self._check(operation)
        return answer

    def _check(self, operation: Operation) -> None:
        if operation.succeeded:
            self.latest_success = time.monotonic()
        elif operation.status not in EXPECTED_ERRORS:
            self.faults.append(f"an unexpected response: {operation}")

    def _send(self, operation: Operation) -> requests.Response | None:
        headers = {"Idempotency-Key": operation.key} if operation.key else {}
        return self._try("POST", operation.path, json=operation.body, headers=headers)

    def _try(self, method: str, path: str, **kwargs: Any) -> requests.Response | None:
        headers = {"Authorization": f"Bearer {self.token}", **kwargs.pop("headers", {})}
        try:
            return self._http.request(
                method,
                f"{self._server.url}{path}",
                headers=headers,
                timeout=RESPONSE_SECONDS,
                **kwargs,
            )
        except requests.ReadTimeout:
            self.faults.append(f"{method} {path} had no response within {RESPONSE_SECONDS} s")
        except requests.RequestException:
            self._ending.wait(0.05)
        return None

    def _new_key(self) -> str:
        return f"key-{next(self._numbers)}"


class Load:
    """Several concurrent customers."""

    def __init__(self, server: Server, customers: int, seed: str, name: str = "customer") -> None:
        self.server = server
        self.customers = [Customer(server, f"{name}{i}", seed) for i in range(customers)]

    def user_ids(self) -> set[str]:
        return {customer.user_id for customer in self.customers}

    def sign_up(self) -> None:
        for customer in self.customers:
            customer.sign_up()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Trade until the block ends."""
        for customer in self.customers:
            customer.start()
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        for customer in self.customers:
            customer.stop()
        for customer in self.customers:
            customer.join(2 * RESPONSE_SECONDS)

    def operations(self) -> list[Operation]:
        """Return all requests so far, with their responses."""
        return [
            replace(operation)
            for customer in self.customers
            for operation in list(customer.operations)
        ]

    def faults(self) -> list[str]:
        return [fault for customer in self.customers for fault in customer.faults]

    def await_success(self, seconds: float = 30) -> None:
        """Wait until a request of every customer succeeds."""
        since = time.monotonic()
        while any(customer.latest_success < since for customer in self.customers):
            waited = time.monotonic() - since
            assert waited < seconds, f"no success within {waited:.0f} s:\n{self.server.output()}"
            time.sleep(0.05)
