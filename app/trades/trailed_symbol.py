"""One symbol with trailing stops: its best prices, and the stops that follow them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from bson import ObjectId

from app.domain.candle import Candle
from app.domain.peaks import Peaks
from app.domain.quote import Quote, Source
from app.domain.side import TradeType
from app.domain.trailing import (
    Swing,
    TrailingStop,
    Unit,
    is_better,
    percent_between,
    prices_to_follow,
)
from app.domain.trailing_book import Follower, TrailingBook
from app.models.trail import Trail, TrailedTrade

REREAD_AFTER = timedelta(hours=1)


class Stack(NamedTuple):
    """Best prices of a side. Those of a real stop hold no simulated price."""

    side: TradeType
    is_real: bool

    @classmethod
    def of(cls, stop: TrailingStop) -> Stack:
        """Return the best prices that a stop follows."""
        return cls(stop.trade_type, stop.start.source.is_real)

    @property
    def name(self) -> str:
        return f"{self.side.value}_{'real' if self.is_real else 'all'}"

    def counts(self, source: Source) -> bool:
        """Return whether it holds prices of a source."""
        return not self.is_real or source is not Source.MOCK


STACKS = [Stack(side, is_real) for side in TradeType for is_real in (True, False)]


class TrailedSymbol:
    def __init__(self, trail: Trail, board: str) -> None:
        """Continue from stored best prices; those of the quote board `board` follow them."""
        self.name = trail.symbol
        self.marked_at = trail.marked_at
        self.as_of = trail.as_of
        # The stored best prices, to store them again only if they have changed.
        self.saved = trail.peaks
        self._peaks = {
            stack: Peaks(stack.side, board, trail.peaks.get(stack.name, ())) for stack in STACKS
        }
        # None until the stops are read.
        self._books: dict[Stack, TrailingBook] | None = None
        self._trades: dict[ObjectId, TrailedTrade] = {}
        self._read_at: datetime | None = None
        self._last: Quote | None = None
        # The last tick when the stops were read last, and at the time before.
        self._last_at_read: Quote | None = None
        self._recent_from: Quote | None = None

    def has_recent(self, settles: timedelta) -> bool:
        """Return whether stops may have begun since they were read.

        `settles` is how long a trade may still be written after its mark.
        """
        if self.marked_at is None or self._read_at is None:
            return self.marked_at is not None
        return self.marked_at > self._read_at - settles

    def is_read_due(self, now: datetime, settles: timedelta) -> bool:
        """Return whether the stops are to be read: again once what began lately is written.

        And at times, to forget those of trades that other processes have closed.
        """
        if self._books is None or self._read_at is None:
            return True
        return now - self._read_at >= (settles if self.has_recent(settles) else REREAD_AFTER)

    def best_of(self, stop: TrailingStop) -> Quote | None:
        """Return the best price that a stop has followed, None if it has not moved."""
        best = self._peaks[Stack.of(stop)].best_since(stop.start)
        is_moved = best and is_better(stop.trade_type, best.price, stop.start.price)
        return best if is_moved else None

    def read(self, trades: Iterable[TrailedTrade], first: Quote, now: datetime) -> None:
        """Take over the stops in the database, before the tick `first` is settled.

        A stop that begins at this tick or later is left to the search for recent ones.
        """
        self._trades = {trade.id: trade for trade in trades if not _begins_from(trade.stop, first)}
        followers: dict[Stack, list[Follower]] = {stack: [] for stack in STACKS}
        for trade in self._trades.values():
            follower = Follower(trade.id, trade.stop, self.best_of(trade.stop))
            followers[Stack.of(trade.stop)].append(follower)
        self._books = {
            stack: TrailingBook(stack.side.sign, each) for stack, each in followers.items()
        }
        self._read_at = now
        self._recent_from, self._last_at_read = self._last_at_read, self._last

    @property
    def is_empty(self) -> bool:
        """Whether no stop is known."""
        return self._books is not None and not self._trades

    def near(self, ticks: Sequence[Quote]) -> dict[ObjectId, TrailedTrade]:
        """Return the trades that ticks may close, as far as they are known, by id."""
        near: dict[ObjectId, TrailedTrade] = {}
        for stack, book in (self._books or {}).items():
            its_ticks = [tick for tick in ticks if stack.counts(tick.source)]
            if book and its_ticks:
                ids = {each.id for each in book.near(Swing.of_ticks(stack.side, its_ticks))}
                # Not as sets: Python would look at every trade of the symbol.
                near |= {id: self._trades[id] for id in ids if id in self._trades}
                book.remove({id for id in ids if id not in self._trades})
        return near

    def moved(self, ticks: Sequence[Quote]) -> Iterator[tuple[Unit, Decimal, Decimal]]:
        """Yield how far prices have fallen and risen since recent stops began, in each unit."""
        swings = {side: self._swing(side, ticks) for side in TradeType}
        buy, sell = swings[TradeType.BUY], swings[TradeType.SELL]
        yield Unit.RUPEES, buy.rupees, sell.rupees
        yield Unit.PERCENT, buy.percent, sell.percent

    def drop(self, id: ObjectId) -> None:
        """Forget a trade. Its book forgets it when a price comes near to its stop."""
        self._trades.pop(id, None)

    def follow(self, tick: Quote) -> None:
        """Have the stops follow the next tick."""
        for stack, peaks in self._peaks.items():
            if stack.counts(tick.source):
                peaks.add(tick)
                if self._books is not None:
                    self._books[stack].follow(tick)
        self._last = tick
        self.as_of = max(self.as_of or tick.timestamp, tick.timestamp)

    def follow_candles(self, candles: Iterable[Candle], until: datetime) -> None:
        """Have the stops follow candles up to `until`."""
        for candle in candles:
            for stack, peaks in self._peaks.items():
                if stack.counts(candle.source):
                    for quote in prices_to_follow(stack.side, candle, self.as_of):
                        peaks.add(quote)
        self.as_of = max(self.as_of or until, until)
        # Read again: a stop may have begun between two candles.
        self._books = None

    def forget_stops(self) -> None:
        """Have the stops read again before the next tick."""
        self._books = None

    def prune(self, settles: timedelta) -> None:
        """Forget the best prices that no stop follows."""
        if self._books is None or (self.has_recent(settles) and self._recent_from is None):
            return
        after = self._recent_from if self.has_recent(settles) else None
        for stack, peaks in self._peaks.items():
            peaks.keep(self._books[stack].prices, after)

    def to_trail(self) -> Trail:
        """Return what is stored of it."""
        peaks = {stack.name: each.quotes for stack, each in self._peaks.items() if each.quotes}
        return Trail(self.name, self.marked_at, self.as_of, peaks)

    def _swing(self, side: TradeType, ticks: Sequence[Quote]) -> Swing:
        """Return the swing of ticks, the best prices since recent stops began included."""
        swing = Swing.of_ticks(side, ticks)
        bests = [peaks for stack, peaks in self._peaks.items() if stack.side is side]
        known = [best for peaks in bests if (best := self._best_recent(peaks))]
        prices = [each.price * side.sign for each in [*known, self._recent_from] if each]
        if not prices:
            return swing
        highest, worst = max(prices), swing.worst * side.sign
        return Swing(
            swing.worst,
            max(swing.rupees, highest - worst),
            max(swing.percent, percent_between(highest, worst)),
        )

    def _best_recent(self, peaks: Peaks) -> Quote | None:
        if self._recent_from is None:
            return next(iter(peaks.quotes), None)
        return peaks.best_since(self._recent_from)


def _begins_from(stop: TrailingStop, tick: Quote) -> bool:
    start = stop.start
    return tick.precedes(start.source, start.timestamp, start.posting)
