"""Trailing stops of the symbols that this process settles: which trades a price may close.

Each symbol with trailing stops has its best prices (app/domain/peaks.py) and a book of its stops
(app/domain/trailing_book.py) in memory. Most ticks need no read: the book tells that no stop is
near. It lacks the stops that have just begun. The process that begins one marks the symbol before
reading the price that the stop begins at. While the mark is recent, each tick also reads the stops
at a distance that the price has moved since then.

Looking for stops changes nothing. Only `advance` does, once all that the ticks cause is written, so
ticks may be settled again after an outage.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from bson import ObjectId

from app.clock import Clock
from app.database.transactions import TRANSACTION_TIMEOUT_SECONDS
from app.domain.candle import Candle
from app.domain.quote import Quote
from app.domain.side import TradeType
from app.domain.trailing import Swing, TrailingStop
from app.domain.trailing_book import Follower, TrailingBook
from app.models import SymbolState, Trade, Trail, share_of
from app.models.trail import TrailedTrade, find_trailed, find_trailed_near, find_waiting_trades
from app.trades.trailed_symbol import TrailedSymbol

# No stop is still being written behind a mark of this age, even if server clocks differ.
MARK_SETTLES = timedelta(seconds=6 * TRANSACTION_TIMEOUT_SECONDS)


class TrailingStops:
    def __init__(self, board: str, clock: Clock) -> None:
        """Follow the prices of the quote board `board`."""
        self._board = board
        self._clock = clock
        self._symbols: dict[str, TrailedSymbol] = {}
        self._refreshed_at: datetime | None = None
        # Gaps are settled in another thread than ticks.
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Learn which symbols have trailing stops. Call it after the ticks are posted."""
        now = self._clock.now()
        if self._refreshed_at is None:
            for trail in Trail.find_all():
                self._symbols.setdefault(trail.symbol, TrailedSymbol(trail, self._board))
                if trail.marked_at is not None:
                    self._note_mark(trail.symbol, trail.marked_at)
        else:
            for symbol, time in Trail.find_marked(self._refreshed_at - MARK_SETTLES).items():
                self._note_mark(symbol, time)
        self._refreshed_at = now

    def mark(self, symbols: Iterable[str]) -> None:
        """Follow symbols of which an order with a trailing stop is about to be filled."""
        for symbol in symbols:
            now = self._clock.now()
            Trail.mark(symbol, now)
            self._note_mark(symbol, now)

    def forget(self, numbers: Collection[int]) -> None:
        """Forget the symbols of these shares: another process settles them."""
        with self._lock:
            self._symbols = {
                symbol: state
                for symbol, state in self._symbols.items()
                if share_of(symbol) not in numbers
            }
            self._refreshed_at = None

    def best_before(self, symbol: str, stop: TrailingStop) -> Quote | None:
        """Return the best price that a stop has followed, None if it has not moved."""
        state = self._symbols.get(symbol)
        return state.best_of(stop) if state else None

    def as_of(self, symbol: str) -> datetime | None:
        """Return up to when, in the feed's time, the best prices of a symbol are settled."""
        state = self._symbols.get(symbol)
        return state.as_of if state else None

    def find_near(self, symbol: str, ticks: Sequence[Quote]) -> Iterator[Trade]:
        """Yield the trades whose trailing stop these ticks of a symbol fire."""
        if (state := self._symbols.get(symbol)) is None:
            return
        now = self._clock.now()
        if state.is_read_due(now, MARK_SETTLES):
            state.read(find_trailed(symbol), ticks[0], now)
        near = state.near(ticks)
        if state.has_recent(MARK_SETTLES):
            for unit, fallen, risen in state.moved(ticks):
                near |= {each.id: each for each in find_trailed_near(symbol, unit, fallen, risen)}
        firing = {
            id: trade
            for id, trade in near.items()
            if _fires(trade.stop, state.best_of(trade.stop), ticks)
        }
        yield from _find_trades(state, firing)

    def find_near_candles(self, symbol: str, candles: Sequence[Candle]) -> Iterator[Trade]:
        """Yield the trades whose trailing stop these candles of a symbol may fire."""
        if (state := self._symbols.get(symbol)) is None:
            return
        trades = {trade.id: trade for trade in find_trailed(symbol)}
        near: dict[ObjectId, TrailedTrade] = {}
        for side in TradeType:
            book = TrailingBook(
                side.sign,
                (
                    Follower(trade.id, trade.stop, state.best_of(trade.stop))
                    for trade in trades.values()
                    if trade.stop.trade_type is side
                ),
            )
            swing = Swing.of_candles(side, candles)
            near |= {each.id: trades[each.id] for each in book.near(swing)}
        yield from _find_trades(state, near)

    def advance(self, ticks: Iterable[Quote], closed: Iterable[Trade]) -> None:
        """Have the stops follow ticks that are settled, without those of closed trades."""
        with self._lock:
            for trade in closed:
                if state := self._symbols.get(trade.symbol):
                    state.drop(trade.id)
            for tick in ticks:
                if state := self._symbols.get(tick.symbol):
                    state.follow(tick)

    def advance_candles(self, symbol: str, candles: Iterable[Candle], until: datetime) -> None:
        """Have the stops of a symbol follow candles up to `until` that are settled."""
        with self._lock:
            if state := self._symbols.get(symbol):
                state.follow_candles(candles, until)

    def reread(self, symbol: str) -> None:
        """Have the stops of a symbol read again, after a corporate action has moved them."""
        with self._lock:
            if state := self._symbols.get(symbol):
                state.forget_stops()

    def save(self, epochs: Mapping[int, int], quotes: Iterable[Quote] = ()) -> None:
        """Store last quotes, and the best prices that have changed. Call it before the progress is.

        So they are never behind it, and what they are ahead of it is known by their time. `epochs`
        are those of the shares that are held.
        """
        trails = []
        with self._lock:
            for state in self._symbols.values():
                state.prune(MARK_SETTLES)
                trail = state.to_trail()
                if trail.peaks != state.saved:
                    trails.append(trail)
        updates = [trail.update(epochs) for trail in trails]
        SymbolState.save_quotes(quotes, self._clock.now(), updates)
        for trail in trails:
            if trail.symbol in self._symbols:
                self._symbols[trail.symbol].saved = trail.peaks
        self._remove_unused()

    def _note_mark(self, symbol: str, time: datetime) -> None:
        with self._lock:
            state = self._symbols.setdefault(symbol, TrailedSymbol(Trail(symbol), self._board))
            state.marked_at = max(state.marked_at or time, time)

    def _remove_unused(self) -> None:
        """Forget symbols that have had no trailing stop for a while."""
        before = self._clock.now() - MARK_SETTLES
        for symbol, state in list(self._symbols.items()):
            is_used = not state.is_empty or state.has_recent(MARK_SETTLES)
            if not is_used and not any(find_trailed(symbol)) and Trail.remove(symbol, before):
                self._symbols.pop(symbol, None)


def _find_trades(state: TrailedSymbol, near: Mapping[ObjectId, TrailedTrade]) -> Iterator[Trade]:
    """Yield the trades as they are now, and forget those that changed or closed elsewhere."""
    left = dict(near)
    if left:
        for trade in find_waiting_trades({id: each.user_id for id, each in near.items()}):
            if trade.trailing_stop == near[trade.id].stop:
                del left[trade.id]
                yield trade
        for id in left:
            state.drop(id)


def _fires(stop: TrailingStop, best: Quote | None, ticks: Sequence[Quote]) -> bool:
    sign = stop.trade_type.sign
    for tick in ticks:
        if stop.counts(tick) and (tick.price - stop.level(best)) * sign <= 0:
            return True
        best = stop.after(best, tick)
    return False
