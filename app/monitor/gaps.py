"""Gaps: spans without prices, settled afterwards from candles.

The server was down, or every real source was. A trade closes at the first price that reaches it, so
the newer ticks of a symbol wait while its gap is settled: for HOLD_SECONDS at most, and for at most
MAX_ATTEMPTS requests for candles, because a source with prices and no candles must not keep trades
open. Without candles the first quote after the gap decides, and its exits are marked as such.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from math import inf
from typing import Any

from bson import ObjectId

from app.alerts.execution import find_missed_alerts, fire_alerts
from app.database.batches import BatchResult, Fence, all_written
from app.domain.candle import Candle, sound_candles
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import Quote, Source
from app.domain.triggers import CandlesAfter
from app.logs import logger
from app.market_data.feed import CandlesRefused, Gap
from app.market_data.session_prices import mark_candles
from app.models import Trade, TradeChange, share_of
from app.monitor.adjustments import Adjustments, only
from app.services import Services
from app.trades.execution import apply_transitions, closed_trades
from app.trades.rests import find_rests
from app.trades.trailing import TrailingStops
from app.trades.triggers import find_missed, find_triggered_since

# The maximum time that the ticks after a gap wait for its candles.
HOLD_SECONDS = 10.0
# Delays between the requests for the candles of a gap.
RETRY_SECONDS = (0.0, 1.0, 2.0, 4.0)
MAX_ATTEMPTS = len(RETRY_SECONDS) + 1


@dataclass(slots=True)
class _Pending:
    """A gap that is not settled. Times are monotonic seconds."""

    hold_until: float
    due_at: float
    attempts: int = 0
    is_holding: bool = True
    candles: Sequence[Candle] | None = None


class Gaps:
    def __init__(self, parts: Services, trailing: TrailingStops, adjustments: Adjustments) -> None:
        self._feed = parts.feed
        self._trailing = trailing
        self._adjustments = adjustments
        self._calendar = parts.calendar
        self._auctions = parts.auctions
        self._clock = parts.clock
        self._pending: dict[Gap, _Pending] = {}
        # Symbols whose ticks no longer wait, and that have had no tick since.
        self._undecided: set[str] = set()
        self._warned_at: datetime | None = None
        self._lock = threading.Lock()

    def add(self, gaps: Iterable[Gap]) -> None:
        """Add gaps to be settled."""
        now = self._clock.monotonic()
        with self._lock:
            for gap in gaps:
                self._pending.setdefault(gap, _Pending(now + HOLD_SECONDS, now))

    def forget(self, numbers: Collection[int]) -> None:
        """Forget the gaps of these shares: another process settles them."""
        with self._lock:
            for gap in [each for each in self._pending if share_of(each.symbol) in numbers]:
                del self._pending[gap]
            self._undecided = {each for each in self._undecided if share_of(each) not in numbers}

    @property
    def is_due(self) -> bool:
        """Whether the candles of a gap are due to be requested."""
        now = self._clock.monotonic()
        with self._lock:
            return any(pending.due_at <= now for pending in self._pending.values())

    @property
    def next_event(self) -> float:
        """The next time that ticks are released or candles are due; monotonic seconds."""
        now = self._clock.monotonic()
        with self._lock:
            times = [
                time
                for pending in self._pending.values()
                for time in (pending.hold_until, pending.due_at)
            ]
        return min((time for time in times if time > now), default=inf)

    def settled_to(self, times: Mapping[int, datetime]) -> dict[int, datetime]:
        """Return these times by share, or the beginning of the share's oldest gap if earlier."""
        settled = dict(times)
        with self._lock:
            for gap in self._pending:
                share = share_of(gap.symbol)
                if share in settled:
                    settled[share] = min(settled[share], gap.since)
        return settled

    def held(self) -> frozenset[str]:
        """Return the symbols whose newer ticks wait."""
        if not self._pending:
            return frozenset()
        now = self._clock.monotonic()
        with self._lock:
            for gap, pending in self._pending.items():
                if pending.is_holding and now >= pending.hold_until:
                    pending.is_holding = False
                    self._undecided.add(gap.symbol)
            return frozenset(
                gap.symbol for gap, pending in self._pending.items() if pending.is_holding
            )

    def deciding(self, ticks: Iterable[Quote]) -> frozenset[Quote]:
        """Return the ticks that are the first of their symbol after a gap.

        A real tick has priority: a simulated one does not decide about a real trade.
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
        """Mark these ticks, the first after their gaps, as settled."""
        with self._lock:
            self._undecided.difference_update(tick.symbol for tick in ticks)

    def settle(self, fence: Fence) -> int:
        """Settle the gaps that have candles; return how many trades it closed.

        The others are retried later, a few times. Raises PyMongoError if the database is
        unavailable, and LeaseLost if the `fence` does.
        """
        now = self._clock.monotonic()
        spans: dict[tuple[datetime, datetime], list[Gap]] = defaultdict(list)
        with self._lock:
            for gap, pending in self._pending.items():
                if pending.due_at <= now:
                    spans[gap.since, gap.until].append(gap)
        return sum(
            self._settle_span(since, gaps, fence) for (since, _), gaps in sorted(spans.items())
        )

    def _settle_span(self, since: datetime, gaps: Sequence[Gap], fence: Fence) -> int:
        """Settle gaps of one span together, so that events are recorded in order of time.

        Corporate actions divide the span: each is applied between the candles before and after.
        """
        self._adjustments.refresh()
        known = {gap: candles for gap in gaps if (candles := self._candles(gap)) is not None}
        until = {gap.symbol: gap.until for gap in known}
        by_symbol = {gap.symbol: self._marked(candles, since) for gap, candles in known.items()}

        def candles_after(symbol: str, time: datetime) -> Sequence[Candle]:
            if time == since or self._feed.remote:
                return by_symbol[symbol]
            candles = sound_candles(self._feed.candles(symbol, time, until[symbol]))
            return self._marked(candles, time)

        self._trailing.refresh()
        closed, begin = 0, datetime.min.replace(tzinfo=UTC)
        for action in self._adjustments.between(until, since, max(until.values(), default=since)):
            end = action.opens_at
            closed += self._settle_part(since, until, candles_after, (begin, end), fence)
            before = only(by_symbol[action.symbol], begin, end)
            self._adjustments.apply_in_gap(action, before, fence)
            begin = end
        closed += self._settle_part(since, until, candles_after, (begin, None), fence)
        with self._lock:
            for gap in known:
                self._pending.pop(gap, None)
                self._undecided.discard(gap.symbol)
        return closed

    def _marked(self, candles: Sequence[Candle], since: datetime) -> list[Candle]:
        """Return the candles that count, in the units of their time."""
        candles = self._adjustments.restored(candles)
        return mark_candles(candles, since, self._calendar, self._auctions)

    def _settle_part(
        self,
        since: datetime,
        until: Mapping[str, datetime],
        candles_after: CandlesAfter,
        part: tuple[datetime, datetime | None],
        fence: Fence,
    ) -> int:
        """Settle the candles of a part of a span; return how many trades it closed."""
        begin, end = part

        def candles_in(symbol: str, time: datetime) -> Sequence[Candle]:
            return only(candles_after(symbol, time), begin, end)

        symbols = sorted(until)
        changes = find_missed(symbols, candles_in, since, self._trailing)
        missed_alerts = find_missed_alerts(symbols, candles_in, since)
        results = chain[BatchResult[Any]](
            apply_transitions(changes, fence, self._trailing),
            fire_alerts(missed_alerts, fence),
        )
        written: Sequence[object] = all_written(results)
        closed, begins = len(closed_trades(written)), dict[ObjectId, datetime]()
        while rests := find_rests(written):
            _note_rests(begins, written, since)
            changes = _find_for_rests(rests, begins, candles_in)
            written = all_written(apply_transitions(changes, fence, self._trailing))
            closed += len(closed_trades(written))
        for symbol in symbols:
            settled = max(since, self._trailing.as_of(symbol) or since)
            last = until[symbol] if end is None else min(end, until[symbol])
            self._trailing.advance_candles(symbol, candles_in(symbol, settled), last)
        return closed

    def _candles(self, gap: Gap) -> Sequence[Candle] | None:
        pending = self._pending.get(gap)
        if pending is None:
            return None
        if pending.candles is None:
            try:
                candles = self._feed.candles(gap.symbol, gap.since, gap.until)
            except MarketDataUnavailable as error:
                self._failed(gap, error)
                return None
            # Kept, so that they are not requested again while the database is unavailable.
            pending.candles = sound_candles(candles)
        return pending.candles

    def _failed(self, gap: Gap, error: MarketDataUnavailable) -> None:
        """Retry later, or let the next quote decide."""
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
        """Log that quotes decide, once for each outage."""
        if self._warned_at is None or gap.since >= self._warned_at:
            self._warned_at = self._feed.now()
            logger.warning(
                "no candles for the time without prices since %s, of %s and maybe others: "
                "the next quotes decide. %s",
                gap.since,
                gap.symbol,
                error,
            )


def _note_rests(
    begins: dict[ObjectId, datetime], written: Iterable[object], since: datetime
) -> None:
    """Note since when the orders wait of which rests are left: the rests look at these candles."""
    for item in written:
        if isinstance(item, TradeChange) and item.rest:
            begin = begins.get(item.trade.id, max(since, item.trade.waits_since))
            begins[item.rest_id] = begin


def _find_for_rests(
    rests: Iterable[Trade], begins: Mapping[ObjectId, datetime], candles_after: CandlesAfter
) -> list[TradeChange]:
    """Return what the candles since the fills of parts change about the rests that they left."""
    changes: list[TradeChange] = []
    for rest in rests:
        assert rest.order is not None
        candles = candles_after(rest.symbol, begins[rest.id])
        changes += find_triggered_since(rest.order.placed, [rest], candles, ())
    return changes
