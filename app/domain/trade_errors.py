"""Errors of requests that change a trade, and find it in another state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.errors import Conflict


class TradeNotActive(Conflict):
    code = "trade_not_active"

    def __init__(self, trade: Mapping[str, Any]) -> None:
        status = trade["status"]
        reason = "holds nothing yet" if status == "PENDING" else "can no longer be exited"
        super().__init__(
            f"This trade is {status} and {reason}.",
            details={"status": status, "pnl": trade["pnl"], "trade": dict(trade)},
        )


class TradeConflict(Conflict):
    """The trade has changed; `details.trade` is the trade as it is."""

    def __init__(self, message: str, trade: Mapping[str, Any]) -> None:
        super().__init__(message, details={"trade": trade})


class NotPending(TradeConflict):
    code = "not_pending"

    def __init__(self, trade: Mapping[str, Any]) -> None:
        super().__init__(f"This trade is {trade['status']}: its entry does not wait.", trade)


class TradeEnded(TradeConflict):
    code = "trade_ended"

    def __init__(self, trade: Mapping[str, Any]) -> None:
        super().__init__(f"This trade is {trade['status']} and can no longer be changed.", trade)


class ChangedMeanwhile(TradeConflict):
    code = "changed_meanwhile"

    def __init__(self, trade: Mapping[str, Any]) -> None:
        version = trade["version"]
        super().__init__(f"This trade has changed meanwhile: it has version {version} now.", trade)


class QuantityNotHeld(TradeConflict):
    code = "quantity_not_held"

    def __init__(self, quantity: int, trade: Mapping[str, Any]) -> None:
        held = trade["open_quantity"]
        super().__init__(f"This trade holds {held}, so {quantity} cannot be exited.", trade)
