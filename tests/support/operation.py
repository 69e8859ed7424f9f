"""One request of a customer, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# What one execution of a request causes, by its kind: one event of each of these types.
CAUSES: Mapping[str, Sequence[Collection[str]]] = {
    "create": [{"trade_created"}],
    "pair": [{"trade_created"}, {"trade_created"}],
    "modify": [{"trade_modified"}],
    "cancel": [{"trade_cancelled"}],
    # A part that is all that is left is the last exit.
    "exit": [{"trade_partially_exited", "trade_exited"}],
    "move": [{"funds_deposited", "funds_withdrawn"}],
    "reset": [{"portfolio_reset"}],
}


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
    method: str = "POST"

    @property
    def is_repeatable(self) -> bool:
        orders = self.body.get("orders", [self.body])
        return self.key is not None or all("client_order_id" in order for order in orders)

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

    @property
    def is_complete(self) -> bool:
        """Whether it exits all trades, and all that each holds."""
        return self.body.keys() <= {"include_pending"}

    @property
    def trade_ids(self) -> set[str]:
        """The trades that it has opened."""
        opened = self.answer.get("trades") or [self.answer]
        return {trade["trade_id"] for trade in opened} if self.kind in ("create", "pair") else set()

    @property
    def may_cause(self) -> Sequence[Collection[str]]:
        """The events of one execution: one of each of these types."""
        if self.kind == "create" and self.body.get("time_in_force") == "IOC":
            return [{"trade_created", "trade_cancelled"}]
        return CAUSES.get(self.kind, ())
