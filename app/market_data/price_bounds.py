"""Widens the bounds of symbols before anything that waits for a price is written.

The monitor looks for what a tick triggers only if the tick reaches the bounds of its symbol. So
every writer of a trade or an alert that waits calls `widen` first, and passes what it returns to
the model. If a stop follows the price, it calls `expect_trailing_stop` before that. A crash in
between leaves bounds that are too wide, which costs a query and does no harm.

Both are stored for the monitors of other processes. The monitor of this process may see from
`announced` that nothing new is stored: it counts after the bounds are stored, and before the caller
writes a trade or reads a price.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from math import inf

from app.clock import Clock
from app.database.transactions import TRANSACTION_TIMEOUT_SECONDS
from app.domain.bounds import NOTHING, Bounds
from app.models import Trail
from app.models.stored_bounds import StoredBounds
from app.models.widening import Widening

# For how long a process relies on having widened bounds, and need not do it again.
REUSE_SECONDS = 60.0
# After as long a write has begun to wait too late, and is refused: twice the longest wait for a
# transaction of the same user, and the longest transaction.
WIDENED_SECONDS = REUSE_SECONDS + 3 * TRANSACTION_TIMEOUT_SECONDS
# By then everything that was widened for is written, or never will be. A transaction whose process
# is paused before its commit is ended by the database after 60 s.
SETTLED_SECONDS = WIDENED_SECONDS + 90.0


class PriceBounds:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # By symbol: what this process has widened, and when it began to.
        self._widened: dict[str, tuple[Bounds, float]] = {}
        # How often this process has stored bounds or the mark of a trailing stop.
        self.announced = 0
        self._lock = threading.Lock()

    def widen(self, levels: Mapping[str, Bounds]) -> Widening:
        """Have ticks that reach these levels, by symbol, looked at.

        Writes nothing if this process has done so within REUSE_SECONDS. Raises PyMongoError.
        """
        now = self._clock.monotonic()
        with self._lock:
            widened = {symbol: self._recent(symbol, now) for symbol in levels}
        new = {
            symbol: bounds
            for symbol, bounds in levels.items()
            if not widened[symbol][0].contain(bounds)
        }
        if new:
            StoredBounds.widen(new)
            self._note(new, now)
        since = min((time for _, time in widened.values()), default=inf)
        return Widening(self._clock, since + WIDENED_SECONDS)

    def expect_trailing_stop(self, symbol: str) -> None:
        """Have the best prices of a symbol followed, for a stop that is about to begin.

        Call it before the price is read that the stop begins at: see app/trades/trailing.py.
        Raises PyMongoError.
        """
        Trail.mark(symbol, self._clock.now())
        with self._lock:
            self.announced += 1

    def _recent(self, symbol: str, now: float) -> tuple[Bounds, float]:
        """Return what this process has widened a symbol to, and since when."""
        bounds, since = self._widened.get(symbol, (NOTHING, now))
        return (bounds, since) if now - since < REUSE_SECONDS else (NOTHING, now)

    def _note(self, new: Mapping[str, Bounds], now: float) -> None:
        with self._lock:
            # Not after `_widened`: another thread may rely on that at once, and write its trade.
            self.announced += 1
            for symbol, bounds in new.items():
                before, since = self._recent(symbol, now)
                self._widened[symbol] = before.joined(bounds), since
