"""Load: customers who trade without pause."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from tests.support.customer import MARGIN, RESPONSE_SECONDS, Customer
from tests.support.operation import Operation
from tests.support.server import Server

# The margin of one of the customers: some of its orders are rejected when they are filled.
SMALL_MARGIN = 500_000

T = TypeVar("T")


class Load:
    """Several concurrent customers. If `one_is_poor`, the last often has too little margin."""

    def __init__(
        self,
        server: Server,
        customers: int,
        seed: str,
        name: str = "customer",
        *,
        one_is_poor: bool = False,
    ) -> None:
        self.server = server
        margins = [MARGIN] * customers
        if one_is_poor:
            margins[-1] = SMALL_MARGIN
        self.customers = [
            Customer(server, f"{name}{i}", seed, margin) for i, margin in enumerate(margins)
        ]

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

    def operations_around(self, take: Callable[[], T]) -> tuple[T, list[Operation]]:
        """Take a snapshot while customers trade; return it, and all requests.

        One that was answered in the meantime is returned as one without a response: the snapshot
        may be of before it.
        """
        before = [len(customer.operations) for customer in self.customers]
        answered = [
            [replace(operation) for operation in customer.operations[:count]]
            for customer, count in zip(self.customers, before, strict=True)
        ]
        snapshot = take()
        operations: list[Operation] = []
        for customer, earlier in zip(self.customers, answered, strict=True):
            later = [replace(each) for each in customer.operations[len(earlier) :]]
            operations += earlier
            operations += [replace(each, status=None, answer={}) for each in later]
        return snapshot, operations

    def faults(self) -> list[str]:
        return [fault for customer in self.customers for fault in customer.faults]

    def await_success(self, seconds: float = 30) -> None:
        """Wait until a request of every customer succeeds."""
        since = time.monotonic()
        while any(customer.latest_success < since for customer in self.customers):
            waited = time.monotonic() - since
            assert waited < seconds, f"no success within {waited:.0f} s:\n{self.server.output()}"
            time.sleep(0.05)
