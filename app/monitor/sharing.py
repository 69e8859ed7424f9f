"""Quotes of the polling process for the processes that do not poll.

New ticks are stored before trades are looked for (see app/market_data/shared_quotes.py). Without
other processes nothing is: the last quotes are stored once a pass, for the next start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable

from app.clock import Clock
from app.domain.quote import Quote
from app.market_data.quotes import QuoteBoard
from app.models import SymbolState

# Ticks that wait while the database is away. Of each symbol only a few are stored anyway.
MAX_UNSHARED = 50_000


class Sharing:
    def __init__(self, quotes: QuoteBoard, clock: Clock) -> None:
        self._quotes = quotes
        self._clock = clock
        # Whether other processes serve the quotes of this one.
        self.is_on = False
        self._ticks: deque[Quote] = deque(maxlen=MAX_UNSHARED)

    def begin(self) -> None:
        """Share from now on, until the next full pass finds no other process."""
        self.is_on = True

    def add(self, ticks: Iterable[Quote]) -> None:
        """Have ticks stored by the next `store`."""
        if self.is_on:
            self._ticks.extend(ticks)

    def store(self) -> None:
        """Store the new ticks; raise PyMongoError if the database is unavailable."""
        if self._ticks:
            SymbolState.share(list(self._ticks), (), self._clock.now())
            self._ticks.clear()

    def store_standing(self, symbols: Collection[str]) -> None:
        """Store that the prices of those symbols still stand that have no new tick.

        Only a feed that is made in this process can tell so: a recording, or the simulated market.
        """
        if self.is_on:
            ticked = {tick.symbol for tick in self._ticks}
            quiet = [symbol for symbol in symbols if symbol not in ticked]
            SymbolState.share((), self._quotes.confirmed(quiet).values(), self._clock.now())

    def clear(self) -> None:
        """Forget the ticks that are not stored."""
        self._ticks.clear()
