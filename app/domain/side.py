"""The two sides of the market, and on which side of a price the levels of each lie."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from app.domain.errors import WrongSideOfPrice


class TradeType(StrEnum):
    """The direction of a trade."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 if a rising price earns, -1 if it costs."""
        return 1 if self is TradeType.BUY else -1


def require_sides(
    trade_type: TradeType,
    price: Decimal,
    *,
    stop_loss: Decimal | None,
    target_price: Decimal | None,
) -> None:
    """Raise WrongSideOfPrice for a level that would trigger at the entry price `price`."""
    buying = trade_type is TradeType.BUY
    for field, level, below in (
        ("stop_loss", stop_loss, buying),
        ("target_price", target_price, not buying),
    ):
        if level is not None and (level >= price if below else level <= price):
            raise WrongSideOfPrice(field, level, "below" if below else "above", price)
