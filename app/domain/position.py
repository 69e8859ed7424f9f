"""Positions: the sums of a user's open trades in one symbol.

The portfolio stores them, so unrealized P&L takes one multiplication a symbol for any number of
trades.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.domain.bracket import Bracket
from app.domain.money import ZERO


@dataclass(frozen=True, slots=True)
class Position:
    """Sums over open trades; `quantity` and `cost` (rupees) count sells as negative."""

    trades: int = 0
    quantity: int = 0
    cost: Decimal = ZERO

    @classmethod
    def of(cls, bracket: Bracket) -> Position:
        signed = bracket.quantity * bracket.trade_type.sign
        return cls(trades=1, quantity=signed, cost=bracket.entry_price * signed)

    def __add__(self, other: Position) -> Position:
        return Position(
            self.trades + other.trades, self.quantity + other.quantity, self.cost + other.cost
        )

    def __neg__(self) -> Position:
        return Position(-self.trades, -self.quantity, -self.cost)

    def pnl_at(self, price: Decimal) -> Decimal:
        """Return the unrealized P&L of the trades at `price`, in rupees."""
        return price * self.quantity - self.cost + ZERO
