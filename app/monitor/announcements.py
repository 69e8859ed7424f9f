"""What was announced before it is written: levels that trades wait for, and trailing stops.

Announcements are in the database, for the monitors of all processes
(app/market_data/price_bounds.py). A process counts its own as well. While it is the only one that
announces anything, it asks the database only after that count has changed.
"""

from __future__ import annotations

from collections.abc import Collection

from app.market_data.price_bounds import PriceBounds
from app.monitor.known_bounds import KnownBounds
from app.trades.trailing import TrailingStops


class Announcements:
    def __init__(self, own: PriceBounds, bounds: KnownBounds, trailing: TrailingStops) -> None:
        """Read what was announced into `bounds` and `trailing`; this process announces by `own`."""
        self._own = own
        self._bounds = bounds
        self._trailing = trailing
        # The count of own announcements at the last read, None if the next pass must read.
        self._read_at: int | None = None

    def forget(self) -> None:
        """Have the next `refresh` read, whether or not this process has announced anything."""
        self._read_at = None

    def refresh(self, numbers: Collection[int], *, only_own: bool) -> None:
        """Learn what was announced in these shares. Call it after the ticks are posted.

        With `only_own` no other process announces anything. Raises PyMongoError.
        """
        # Counted before the reads: the next pass reads what is announced during them.
        count = self._own.announced
        if only_own and count == self._read_at:
            return
        self._trailing.refresh()
        self._bounds.refresh(numbers)
        self._read_at = count
