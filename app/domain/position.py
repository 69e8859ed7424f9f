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
        """Return the position of what a bracket still holds."""
        return cls.part_of(bracket, bracket.open_quantity)

    @classmethod
    def part_of(cls, bracket: Bracket, quantity: int) -> Position:
        """Return the position of a part of a bracket: all of it counts as one trade."""
        signed = quantity * bracket.trade_type.sign
        is_all = quantity == bracket.open_quantity
        return cls(trades=int(is_all), quantity=signed, cost=bracket.entry_price * signed)

    def __add__(self, other: Position) -> Position:
        return Position(
            self.trades + other.trades, self.quantity + other.quantity, self.cost + other.cost
        )

    def __neg__(self) -> Position:
        return Position(-self.trades, -self.quantity, -self.cost)

    def pnl_at(self, price: Decimal) -> Decimal:
        """Return the unrealized P&L of the trades at `price`, in rupees."""
        return price * self.quantity - self.cost + ZERO

    def day_pnl_at(
        self, price: Decimal, previous_close: Decimal, entered_today: Position
    ) -> Decimal:
        """Return the P&L since the previous close, in rupees; of what was entered since, all."""
        held_before = self.quantity - entered_today.quantity
        return (price - previous_close) * held_before + entered_today.pnl_at(price)
