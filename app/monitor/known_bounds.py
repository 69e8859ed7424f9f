"""The bounds of the symbols that this process settles: which ticks need no query.

A tick between the bounds of its symbol triggers nothing. Of a tick that reaches them, the queries
tell what it triggers; then the bounds are narrowed to what waits next. All of it is kept in memory,
and one read tells whether some were widened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from itertools import islice

from app.clock import Clock
from app.domain.bounds import NOTHING, Bounds
from app.domain.quote import Quote
from app.market_data.price_bounds import SETTLED_SECONDS
from app.models import share_of
from app.models.stored_bounds import StoredBounds, highest_below, lowest_above

# SecantusDB: reads all that waits in a range to find the nearest, so bounds are looked for this
# close to the price. MongoDB would read one entry of each index, at any distance.
WINDOW = Decimal("0.0025")
# In one pass, so that it delays no tick.
MAX_NARROWED = 25
MAX_GENERATIONS = 50
# Until bounds that stay reached are looked at again: a mock price reaches a real trade, say.
RETRY_SECONDS = 60.0

Range = tuple[Decimal, Decimal]


class KnownBounds:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # By share, as they were when its bounds were read.
        self._versions: dict[int, int] = {}
        self._symbols: dict[str, StoredBounds] = {}
        # By symbol: a generation, and when this process saw it first.
        self._seen: dict[str, tuple[int, float]] = {}
        self._retry_at: dict[str, float] = {}

    def refresh(self, numbers: Collection[int]) -> None:
        """Learn what was widened in these shares. Call it after the ticks are posted."""
        versions = StoredBounds.find_versions()
        changed = {
            number: versions.get(number, 0)
            for number in numbers
            if self._versions.get(number) != versions.get(number, 0)
        }
        if changed:
            for stored in StoredBounds.find_of_shares(changed):
                self._keep(stored)
            self._versions |= changed

    def forget(self, numbers: Collection[int]) -> None:
        """Forget the symbols of these shares: another process settles them."""
        for number in numbers:
            self._versions.pop(number, None)
        for symbol in [each for each in self._symbols if share_of(each) in numbers]:
            del self._symbols[symbol], self._seen[symbol]
            self._retry_at.pop(symbol, None)

    def quiet(self, ticks: Iterable[Quote]) -> set[str]:
        """Return the symbols of which these ticks trigger nothing, but for trailing stops."""
        return {
            symbol
            for symbol, (lowest, highest) in _ranges(ticks).items()
            if (bounds := self._bounds(symbol)) and not bounds.are_reached(lowest, highest)
        }

    def narrow(self, ticks: Iterable[Quote]) -> None:
        """Narrow bounds that settled ticks have reached. Raises PyMongoError."""
        now = self._clock.monotonic()
        reached = (
            (symbol, prices)
            for symbol, prices in _ranges(ticks).items()
            if self._is_settled_reached(symbol, prices) and self._retry_at.get(symbol, now) <= now
        )
        for symbol, prices in islice(reached, MAX_NARROWED):
            self._narrow(symbol, prices)
            if self._is_settled_reached(symbol, prices):
                self._retry_at[symbol] = now + RETRY_SECONDS
            else:
                self._retry_at.pop(symbol, None)

    def begin_generations(self) -> None:
        """Begin the next generation of bounds that were widened long ago. Raises PyMongoError."""
        until = self._clock.monotonic() - SETTLED_SECONDS
        ended = (
            stored
            for symbol, stored in self._symbols.items()
            if stored.settled is not None
            and (stored.recent, stored.earlier) != (NOTHING, NOTHING)
            and self._seen[symbol][1] <= until
        )
        chosen = list(islice(ended, MAX_GENERATIONS))
        StoredBounds.begin_generations(chosen)
        for stored in chosen:
            # Read again by the next `refresh`.
            self._versions.pop(share_of(stored.symbol), None)

    def _bounds(self, symbol: str) -> Bounds | None:
        stored = self._symbols.get(symbol)
        return stored.bounds if stored else None

    def _is_settled_reached(self, symbol: str, prices: Range) -> bool:
        stored = self._symbols.get(symbol)
        return stored is None or stored.settled is None or stored.settled.are_reached(*prices)

    def _narrow(self, symbol: str, prices: Range) -> None:
        stored = self._symbols.get(symbol) or StoredBounds(symbol)
        narrowed = stored.narrow(_settled(stored, prices))
        self._keep(narrowed or StoredBounds.find(symbol))

    def _keep(self, stored: StoredBounds) -> None:
        self._symbols[stored.symbol] = stored
        if self._seen.get(stored.symbol, (None, 0))[0] != stored.generation:
            self._seen[stored.symbol] = stored.generation, self._clock.monotonic()


def _settled(stored: StoredBounds, prices: Range) -> Bounds:
    """Return the bounds of what is found to wait, looking at the sides that prices reach."""
    lowest, highest = prices
    known = stored.settled or Bounds(below=lowest, above=highest)
    below, above = known.below, known.above
    if known.is_below_reached(lowest):
        floor = lowest * (1 - WINDOW)
        below = highest_below(stored.symbol, floor) or floor
    if known.is_above_reached(highest):
        ceiling = highest * (1 + WINDOW)
        above = lowest_above(stored.symbol, ceiling) or ceiling
    return Bounds(below, above)


def _ranges(ticks: Iterable[Quote]) -> dict[str, Range]:
    """Return the lowest and the highest price of each symbol."""
    ranges: dict[str, Range] = {}
    for tick in ticks:
        lowest, highest = ranges.get(tick.symbol, (tick.price, tick.price))
        ranges[tick.symbol] = min(lowest, tick.price), max(highest, tick.price)
    return ranges
