"""The two sides of the market."""

from __future__ import annotations

from enum import StrEnum


class TradeType(StrEnum):
    """The direction of a trade."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 if a rising price earns, -1 if it costs."""
        return 1 if self is TradeType.BUY else -1
