"""The bounds of a symbol: between them nothing waits for a price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Bounds:
    """Something may wait at or under `below`, and something at or over `above`, in rupees.

    Nothing waits for a price between them. None says that nothing waits on that side.
    """

    below: Decimal | None = None
    above: Decimal | None = None

    def joined(self, other: Bounds) -> Bounds:
        """Return the bounds of what waits at either."""
        belows = [each for each in (self.below, other.below) if each is not None]
        aboves = [each for each in (self.above, other.above) if each is not None]
        return Bounds(max(belows, default=None), min(aboves, default=None))

    def contain(self, other: Bounds) -> bool:
        """Return whether every price that reaches `other` reaches these bounds."""
        return self.joined(other) == self

    def is_below_reached(self, lowest: Decimal) -> bool:
        return self.below is not None and lowest <= self.below

    def is_above_reached(self, highest: Decimal) -> bool:
        return self.above is not None and highest >= self.above

    def are_reached(self, lowest: Decimal, highest: Decimal) -> bool:
        """Return whether prices from `lowest` to `highest` may trigger something."""
        return self.is_below_reached(lowest) or self.is_above_reached(highest)


# The bounds of a symbol in which nothing waits.
NOTHING = Bounds()
