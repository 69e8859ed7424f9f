"""Limits on what one socket, and one address, may send: token buckets of messages and bytes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rate:
    """Sustained units per second, and the burst allowed after a pause."""

    per_second: float
    burst: float


SOCKET_MESSAGES = Rate(100, 1_000)
SOCKET_BYTES = Rate(64 * 1024, 512 * 1024)
ADDRESS_MESSAGES = Rate(500, 4_000)
ADDRESS_BYTES = Rate(512 * 1024, 4 * 1024 * 1024)
# A handshake costs as much as this many messages.
HANDSHAKE_MESSAGES = 4
# After this long unused, the buckets of an address are full again and are dropped.
FORGET_SECONDS = 30.0


@dataclass(slots=True)
class Bucket:
    """A token bucket that starts full."""

    rate: Rate
    level: float = field(init=False)
    filled_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = self.rate.burst
        self.filled_at = time.monotonic()

    def take(self, amount: float) -> bool:
        """Take `amount` if the bucket holds it; return whether it did."""
        now = time.monotonic()
        filled = self.level + (now - self.filled_at) * self.rate.per_second
        self.level = min(filled, self.rate.burst)
        self.filled_at = now
        if self.level < amount:
            return False
        self.level -= amount
        return True


class Budget:
    """The remaining messages and bytes of one socket or address."""

    __slots__ = ("_bytes", "_messages")

    def __init__(self, messages: Rate, size: Rate) -> None:
        self._messages = Bucket(messages)
        self._bytes = Bucket(size)

    @property
    def used_at(self) -> float:
        return max(self._messages.filled_at, self._bytes.filled_at)

    def take_messages(self, count: int = 1) -> bool:
        return self._messages.take(count)

    def take_bytes(self, count: int) -> bool:
        return self._bytes.take(count)


class SocketBudget:
    """The budget of one socket, within that of its address."""

    __slots__ = ("_address", "_own")

    def __init__(self, address: Budget) -> None:
        self._own = Budget(SOCKET_MESSAGES, SOCKET_BYTES)
        self._address = address

    def take_messages(self, count: int = 1) -> bool:
        return self._own.take_messages(count) and self._address.take_messages(count)

    def take_bytes(self, count: int) -> bool:
        return self._own.take_bytes(count) and self._address.take_bytes(count)


class AddressBudgets:
    """The budgets of the addresses that were recently active."""

    def __init__(self) -> None:
        self._budgets: dict[str, Budget] = {}

    def of(self, key: str) -> Budget:
        budget = self._budgets.get(key)
        if budget is None:
            budget = self._budgets.setdefault(key, Budget(ADDRESS_MESSAGES, ADDRESS_BYTES))
        return budget

    def forget_idle(self) -> None:
        """Drop the budgets that have filled up again."""
        oldest = time.monotonic() - FORGET_SECONDS
        for key, budget in list(self._budgets.items()):
            if budget.used_at < oldest:
                self._budgets.pop(key, None)
