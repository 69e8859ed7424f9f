"""Gaps: spans that nobody watched, settled afterwards from candles.

The server was down, or every real source was. While a gap of a symbol is being settled its newer
ticks wait, for a trade closes at what reached it first. They do not wait for ever: a source that
has prices and no candles must not keep trades open.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from app.alerts.settlement import fire_missed_alerts
from app.clock import Clock
from app.domain.candle import Candle, sound_candles
from app.domain.errors import MarketDataUnavailable
from app.logs import logger
from app.market_data.feed import Feed, Gap
from app.trades.settlement import settle_missed

# For so long the ticks after a gap wait for its candles.
HOLD_SECONDS = 60.0


class Gaps:
    def __init__(self, feed: Feed, clock: Clock) -> None:
        self._feed = feed
        self._clock = clock
        self._pending: dict[Gap, float] = {}
        self._lock = threading.Lock()

    def add(self, gaps: Iterable[Gap]) -> None:
        """Have these settled."""
        hold_until = self._clock.monotonic() + HOLD_SECONDS
        with self._lock:
            for gap in gaps:
                self._pending.setdefault(gap, hold_until)

    @property
    def is_empty(self) -> bool:
        return not self._pending

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
            return frozenset(gap.symbol for gap, until in self._pending.items() if now < until)

    def settle(self) -> int:
        """Settle what candles can be had for; return how many trades it closed.

        Where there are none now the gap stays. Raises PyMongoError where the database is away.
        """
        spans: dict[tuple[datetime, datetime], list[Gap]] = defaultdict(list)
        with self._lock:
            for gap in self._pending:
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
        closed = settle_missed(symbols, candles_after, since)
        fire_missed_alerts(symbols, candles_after, since)
        with self._lock:
            for gap in known:
                self._pending.pop(gap, None)
        return closed

    def _candles(self, gap: Gap) -> Sequence[Candle] | None:
        try:
            return sound_candles(self._feed.candles(gap.symbol, gap.since, gap.until))
        except MarketDataUnavailable as error:
            logger.warning("gap of %s since %s stays open: %s", gap.symbol, gap.since, error)
            return None
