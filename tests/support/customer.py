"""A customer who trades without pause and records every response."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Collection
from typing import Any

import requests

from tests.support.operation import Operation
from tests.support.random_orders import RandomOrders
from tests.support.server import Server
from tests.support.users import PASSWORD, registration

# A request may arrive while a server starts, which takes 40 s on a busy machine.
RESPONSE_SECONDS = 120
MARGIN = 1_000_000_000
OPEN = ("PENDING", "ACTIVE")
# Statuses that are expected besides success: a level on the wrong side or too little margin (400),
# a trade that has changed in the meantime (409), an outage (503).
EXPECTED_ERRORS = (400, 409, 503)
# The names of the actions, and how often each is chosen.
ACTIONS = {
    **{"create": 56, "place_pair": 5, "modify": 12, "cancel": 4, "exit": 10, "exit_all": 1},
    **{"reset": 0.3, "move": 3, "repeat": 5, "look": 7},
}


class Customer(threading.Thread):
    """One user, who sends one request after another, chosen by a seed."""

    def __init__(self, server: Server, name: str, seed: str, margin: int = MARGIN) -> None:
        super().__init__(name=name, daemon=True)
        self._server = server
        self._random = random.Random(f"{seed}/{name}")
        self._orders = RandomOrders(self._random)
        self._margin = margin
        self._ending = threading.Event()
        self._numbers = itertools.count(1)
        self._http = requests.Session()
        self.operations: list[Operation] = []
        self.faults: list[str] = []
        self.latest_success = 0.0
        # The trades that may be open, by id, as they were seen last.
        self._trades: dict[str, dict[str, Any]] = {}
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
            "POST", "/portfolio/create", self.token, json={"initial_margin": self._margin}
        )
        assert opened.status_code == 201, opened.text

    def run(self) -> None:
        with self._http:
            while not self._ending.is_set():
                (name,) = self._random.choices(list(ACTIONS), weights=list(ACTIONS.values()))
                getattr(self, name)()

    def stop(self) -> None:
        self._ending.set()

    def create(self) -> None:
        """Create a trade, mostly with prices that the next swing of the market reaches."""
        body = self._orders.order()
        operation = Operation("create", self.user_id, "/trades/create", body)
        manner = self._random.random()
        if manner < 0.3:
            body["client_order_id"] = self._new_order_id()
        elif manner < 0.6:
            operation.key = self._new_key()
        self._do(operation)
        if operation.succeeded:
            self._see(operation.answer)

    def place_pair(self) -> None:
        """Place two orders of which the first to fill cancels the other."""
        orders = self._orders.pair()
        operation = Operation("pair", self.user_id, "/trades/oco", {"orders": orders})
        manner = self._random.random()
        if manner < 0.4:
            for order in orders:
                order["client_order_id"] = self._new_order_id()
        elif manner < 0.8:
            operation.key = self._new_key()
        self._do(operation)
        if operation.succeeded:
            for trade in operation.answer["trades"]:
                self._see(trade)

    def modify(self) -> None:
        """Change the terms of an order that waits or the levels of a trade; it may have changed."""
        if (trade_id := self._pick(OPEN)) is None:
            return
        path, body = (
            f"/trades/{self.user_id}/{trade_id}",
            self._orders.modification(self._trades[trade_id]),
        )
        self._change(Operation("modify", self.user_id, path, body, method="PATCH"), trade_id)

    def cancel(self) -> None:
        """Cancel an order; it may be filled already."""
        if (trade_id := self._pick(["PENDING"])) is not None:
            path = f"/trades/cancel/{trade_id}"
            self._change(Operation("cancel", self.user_id, path, {}), trade_id)

    def exit(self) -> None:
        """Exit a trade or a part of it; it may be closed already, or not filled yet."""
        statuses = ["ACTIVE"] if self._random.random() < 0.9 else OPEN
        if (trade_id := self._pick(statuses)) is not None:
            body = self._orders.share() if self._random.random() < 0.4 else {}
            path = f"/trades/exit/{trade_id}"
            self._change(Operation("exit", self.user_id, path, body), trade_id)

    def exit_all(self) -> None:
        path = f"/trades/exit-all/{self.user_id}"
        self._end_many(Operation("exit_all", self.user_id, path, self._orders.selection()))

    def reset(self) -> None:
        """Close everything, and begin the next season with the same margin."""
        path = f"/portfolio/{self.user_id}/reset"
        self._end_many(Operation("reset", self.user_id, path, {}))

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

    def _change(self, operation: Operation, trade_id: str) -> None:
        """Send a change of one trade, and keep what the response tells of it."""
        operation.trade_id = trade_id
        operation.key = self._new_key() if self._random.random() < 0.6 else None
        self._do(operation)
        details = operation.answer.get("details") or {}
        told = operation.answer if operation.succeeded else details.get("trade", details)
        if operation.succeeded and operation.kind == "exit":
            told = {"status": "ACTIVE" if operation.answer["open_quantity"] else "CLOSED"}
        self._see({**self._trades[trade_id], **told})

    def _end_many(self, operation: Operation) -> None:
        operation.key = self._new_key() if self._random.random() < 0.7 else None
        self._do(operation)
        if operation.succeeded and (operation.is_complete or operation.kind == "reset"):
            self._trades.clear()

    def _see(self, trade: dict[str, Any]) -> None:
        if trade["status"] in OPEN:
            self._trades[trade["trade_id"]] = trade
        else:
            self._trades.pop(trade["trade_id"], None)

    def _pick(self, statuses: Collection[str]) -> str | None:
        """Return one of the trades that had such a status when they were seen last."""
        seen = [id for id, trade in self._trades.items() if trade["status"] in statuses]
        return self._random.choice(seen) if seen else None

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
        return self._try(operation.method, operation.path, json=operation.body, headers=headers)

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

    def _new_order_id(self) -> str:
        return f"order-{next(self._numbers)}"
