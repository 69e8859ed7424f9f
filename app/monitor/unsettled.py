"""The ticks of the own symbols that are not settled yet, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from datetime import datetime

from app.domain.quote import Quote
from app.models import share_of

# Ticks kept while the database is unavailable: about a day of all symbols at 10 s.
MAX_UNSETTLED = 1_000_000


class UnsettledTicks:
    def __init__(self) -> None:
        self._ticks: deque[Quote] = deque(maxlen=MAX_UNSETTLED)
        # The times, by share, up to which candles replace the ticks, or they are settled.
        self._replaced_to: dict[int, datetime] = {}

    def add(self, ticks: Iterable[Quote]) -> list[Quote]:
        """Add ticks, except those that are replaced; return the added ones."""
        added = [tick for tick in ticks if not self._is_replaced(tick)]
        self._ticks.extend(added)
        return added

    def replace(self, numbers: Iterable[int], until: datetime) -> None:
        """Add no tick of these shares up to `until`, in the feed's time."""
        self._replaced_to |= dict.fromkeys(numbers, until)

    def take(self) -> list[Quote]:
        """Return all ticks, and keep none."""
        ticks, self._ticks = list(self._ticks), deque(maxlen=MAX_UNSETTLED)
        return ticks

    def put_back(self, ticks: Iterable[Quote]) -> None:
        """Put ticks in front of those that have arrived meanwhile."""
        self._ticks = deque([*ticks, *self._ticks], maxlen=MAX_UNSETTLED)

    def forget(self, numbers: Collection[int]) -> None:
        """Forget the ticks of these shares."""
        kept = [tick for tick in self._ticks if share_of(tick.symbol) not in numbers]
        self._ticks = deque(kept, maxlen=MAX_UNSETTLED)

    def _is_replaced(self, tick: Quote) -> bool:
        if not self._replaced_to:
            return False
        until = self._replaced_to.get(share_of(tick.symbol))
        return until is not None and tick.timestamp <= until
