"""Shares of a position: how much of what is held an exit takes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.domain.errors import QuantityOffLot

_ALL_PERCENT = Decimal(100)


@dataclass(frozen=True, slots=True)
class Share:
    """A quantity, a percentage, or everything if neither is set."""

    quantity: int | None = None
    percent: Decimal | None = None

    @property
    def is_all(self) -> bool:
        return self.quantity is None and (self.percent is None or self.percent == _ALL_PERCENT)

    def of(self, held: int, lot_size: int) -> int:
        """Return the units to exit of `held`; a quantity may exceed what is held.

        A percentage is rounded down to whole lots, and is one lot at least. Raises QuantityOffLot
        for a quantity that is neither whole lots nor all that is held.
        """
        if self.is_all:
            return held
        if self.percent is not None:
            whole_lots = int(held * self.percent / _ALL_PERCENT) // lot_size * lot_size
            return min(max(whole_lots, lot_size), held)
        assert self.quantity is not None
        if self.quantity % lot_size and self.quantity != held:
            below = self.quantity // lot_size * lot_size
            above = min(below + lot_size, held)
            raise QuantityOffLot(self.quantity, lot_size, below=below or None, above=above)
        return self.quantity


ALL = Share()
