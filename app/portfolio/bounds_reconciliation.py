"""Reconciliation of bounds: no trade or alert may wait for a price between those of its symbol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from app.domain.bounds import NOTHING, Bounds
from app.models import SHARES
from app.models.stored_bounds import StoredBounds, highest_below, lowest_above


@dataclass(frozen=True, slots=True)
class NarrowBound:
    """A bound that leaves out a price that something waits for, in rupees."""

    symbol: str
    # "below" or "above".
    side: str
    bound: Decimal | None
    level: Decimal


def find_narrow_bounds() -> list[NarrowBound]:
    """Return the bounds that leave something out; ticks would not trigger it."""
    stored = StoredBounds.find_of_shares(range(SHARES))
    return [each for bounds in stored for each in _narrow_sides(bounds)]


def repair_bounds() -> list[NarrowBound]:
    """Widen the bounds that leave something out; return what they were."""
    found = find_narrow_bounds()
    for each in found:
        StoredBounds.widen({each.symbol: Bounds(**{each.side: each.level})})
    return found


def _narrow_sides(stored: StoredBounds) -> Iterator[NarrowBound]:
    left_out = _left_out(stored)
    if left_out == NOTHING:
        return
    # Again, by bounds that were read after the level: they may have been widened for it.
    stored = StoredBounds.find(stored.symbol)
    again, bounds = _left_out(stored), stored.bounds or NOTHING
    if again.below is not None and again.below == left_out.below:
        yield NarrowBound(stored.symbol, "below", bounds.below, again.below)
    if again.above is not None and again.above == left_out.above:
        yield NarrowBound(stored.symbol, "above", bounds.above, again.above)


def _left_out(stored: StoredBounds) -> Bounds:
    """Return the levels that wait between the bounds, none for those that nothing waits for."""
    if (bounds := stored.bounds) is None or bounds.below is None or bounds.above is None:
        return NOTHING
    below = highest_below(stored.symbol, bounds.below)
    above = lowest_above(stored.symbol, bounds.above)
    return Bounds(
        None if below == bounds.below else below, None if above == bounds.above else above
    )
