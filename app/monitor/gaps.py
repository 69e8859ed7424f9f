"""Gaps: spans that nobody watched, settled afterwards from candles.

The server was down, or every real source was. While a gap of a symbol is being settled its newer
ticks wait, for a trade closes at what reached it first. They wait for HOLD_SECONDS at most, and
candles are asked for MAX_ATTEMPTS times at most: a source that has prices and no candles must not
keep trades open. Without candles the first quote after the gap decides, and the exits that it
causes say so.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf

from app.alerts.execution import find_missed_alerts, fire_alerts
from app.clock import Clock
from app.database.batches import all_written
from app.domain.candle import Candle, sound_candles
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import Quote, Source
from app.logs import logger
from app.market_data.feed import CandlesRefused, Feed, Gap
from app.trades.execution import close_trades, find_missed

# The ticks after a gap wait so long for its candles, at most.
HOLD_SECONDS = 10.0
# Seconds from one failed request for the candles of a gap to the next one.
RETRY_SECONDS = (0.0, 1.0, 2.0, 4.0)
MAX_ATTEMPTS = len(RETRY_SECONDS) + 1


@dataclass(slots=True)
class _Pending:
    """A gap whose candles are not there yet. Times are seconds, monotonic."""

    hold_until: float
    due_at: float
    attempts: int = 0
    is_holding: bool = True
    candles: Sequence[Candle] | None = None


class Gaps:
    def __init__(self, feed: Feed, clock: Clock) -> None:
        self._feed = feed
        self._clock = clock
        self._pending: dict[Gap, _Pending] = {}
        # Symbols whose newer ticks no longer wait, and of which none has come since.
        self._undecided: set[str] = set()
        self._warned_at: datetime | None = None
        self._lock = threading.Lock()

    def add(self, gaps: Iterable[Gap]) -> None:
        """Have these settled."""
        now = self._clock.monotonic()
        with self._lock:
            for gap in gaps:
                self._pending.setdefault(gap, _Pending(now + HOLD_SECONDS, now))

    @property
    def is_due(self) -> bool:
        """Whether candles of a gap are to be asked for now."""
        now = self._clock.monotonic()
        with self._lock:
            return any(each.due_at <= now for each in self._pending.values())

    @property
    def next_event(self) -> float:
        """When, later than now, ticks are released or candles are due; monotonic seconds."""
        now = self._clock.monotonic()
        with self._lock:
            times = [
                time for each in self._pending.values() for time in (each.hold_until, each.due_at)
            ]
        return min((time for time in times if time > now), default=inf)

    @property
    def oldest(self) -> datetime | None:
        """When the first gap that is not settled began."""
        with self._lock:
            return min((gap.since for gap in self._pending), default=None)

    def held(self) -> frozenset[str]:
        """Return the symbols whose newer ticks have to wait."""
        if not self._pending:
            return frozenset()
        now = self._clock.monotonic()
        with self._lock:
            for gap, each in self._pending.items():
                if each.is_holding and now >= each.hold_until:
                    each.is_holding = False
                    self._undecided.add(gap.symbol)
            return frozenset(gap.symbol for gap, each in self._pending.items() if each.is_holding)

    def deciding(self, ticks: Iterable[Quote]) -> frozenset[Quote]:
        """Return those of the ticks that are the first of their symbol after a gap.

        A real one, where there are both: a simulated price decides nothing about a real trade.
        """
        first: dict[str, Quote] = {}
        for tick in ticks if self._undecided else ():
            known = first.get(tick.symbol)
            if tick.symbol in self._undecided and (
                known is None or (known.source is Source.MOCK and tick.source is not Source.MOCK)
            ):
                first[tick.symbol] = tick
        return frozenset(first.values())

    def decided(self, ticks: Iterable[Quote]) -> None:
        """Note that these ticks, the first after their gaps, were settled."""
        with self._lock:
            self._undecided.difference_update(tick.symbol for tick in ticks)

    def settle(self) -> int:
        """Settle what candles can be had for; return how many trades it closed.

        Where there are none now the gap is tried again later, a few times. Raises PyMongoError
        where the database is away.
        """
        now = self._clock.monotonic()
        spans: dict[tuple[datetime, datetime], list[Gap]] = defaultdict(list)
        with self._lock:
            for gap, each in self._pending.items():
                if each.due_at <= now:
                    spans[gap.since, gap.until].append(gap)
        return sum(self._settle_span(since, gaps) for (since, _), gaps in sorted(spans.items()))

    def _settle_span(self, since: datetime, gaps: Sequence[Gap]) -> int:
        """Settle gaps of one span together, so that what happened is told in its order."""
        known = {gap: candles for gap in gaps if (candles := self._candles(gap)) is not None}
        until = {gap.symbol: gap.until for gap in known}
        whole = {gap.symbol: candles for gap, candles in known.items()}

        def candles_after(symbol: str, time: datetime) -> Sequence[Candle]:
            if time == since or self._feed.remote:
                return whole[symbol]
            return sound_candles(self._feed.candles(symbol, time, until[symbol]))

        symbols = sorted(whole)
        closed = all_written(close_trades(find_missed(symbols, candles_after, since)))
        all_written(fire_alerts(find_missed_alerts(symbols, candles_after, since)))
        with self._lock:
            for gap in known:
                self._pending.pop(gap, None)
                self._undecided.discard(gap.symbol)
        return len(closed)

    def _candles(self, gap: Gap) -> Sequence[Candle] | None:
        pending = self._pending.get(gap)
        if pending is None:
            return None
        if pending.candles is None:
            try:
                found = self._feed.candles(gap.symbol, gap.since, gap.until)
            except MarketDataUnavailable as error:
                self._failed(gap, error)
                return None
            # Kept: while the database is away they are not asked for again.
            pending.candles = sound_candles(found)
        return pending.candles

    def _failed(self, gap: Gap, error: MarketDataUnavailable) -> None:
        """Try again later, or have the next quote decide."""
        with self._lock:
            pending = self._pending.get(gap)
            if pending is None:
                return
            pending.attempts += 1
            if pending.attempts < MAX_ATTEMPTS and not isinstance(error, CandlesRefused):
                now = self._clock.monotonic()
                pending.due_at = now + RETRY_SECONDS[pending.attempts - 1]
                return
            del self._pending[gap]
            if pending.is_holding:
                self._undecided.add(gap.symbol)
        self._warn(gap, error)

    def _warn(self, gap: Gap, error: MarketDataUnavailable) -> None:
        """Log that quotes decide, once for all symbols of an outage."""
        if self._warned_at is None or gap.since >= self._warned_at:
            self._warned_at = self._feed.now()
            logger.warning(
                "no candles of the time without prices since %s, of %s and maybe others: "
                "the next quotes decide. %s",
                gap.since,
                gap.symbol,
                error,
            )
