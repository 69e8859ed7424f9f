"""The replay feed: a recorded market, played back at a chosen speed.

Polls return every tick of the recording (recording.py) once, in order of time. After the last tick
the last prices stay.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import groupby, pairwise
from math import inf
from operator import attrgetter

from app.clock import Clock
from app.domain.candle import Candle, Interval, aggregate, beginning_of
from app.domain.money import is_price
from app.domain.quote import Quote
from app.market_data.feed import Feed
from app.market_data.tick_filter import Factors, TickFilter, no_factors

# Ticks hashed in one step.
_HASHED_TICKS = 10_000
_time = attrgetter("timestamp")
_beginning = attrgetter("time")


class ReplayFeed(Feed):
    name = "replay"

    def __init__(
        self,
        ticks: list[Quote],
        clock: Clock,
        *,
        speed: float = 1,
        began_at: datetime | None = None,
        max_move: Decimal | None = None,
        factors: Factors = no_factors,
        idle_seconds: float = inf,
    ) -> None:
        """Play `speed` recorded seconds per second.

        The first tick is due now, or was due at `began_at` if the replay continues after a
        restart. Candles exclude the ticks that a filter with `max_move` rejects, which knows the
        `factors` of corporate actions. After `idle_seconds` without a poll another process polls.
        """
        self._ticks = sorted((tick for tick in ticks if is_price(tick.price)), key=_time)
        self._times = [tick.timestamp for tick in self._ticks]
        self._by_symbol: dict[str, list[Quote]] = defaultdict(list)
        for tick in self._ticks:
            self._by_symbol[tick.symbol].append(tick)
        self._clock = clock
        self._admitted = {
            symbol: self._admit(its_ticks, max_move, factors)
            for symbol, its_ticks in self._by_symbol.items()
        }
        self._recorded = {symbol: _candles_of(ticks) for symbol, ticks in self._admitted.items()}
        self._speed = speed
        self._started = clock.monotonic()
        self._head_start = 0.0
        self._lock = threading.Lock()
        self._position = 0
        self._reached: datetime | None = None
        self._reached_at = -inf
        self._idle_seconds = idle_seconds
        if began_at is not None:
            # If the clock was set back, the first tick is due now.
            self._head_start = max((clock.now() - began_at).total_seconds(), 0.0)

    @property
    def last_time(self) -> datetime:
        """The time of the last recorded tick."""
        return self._times[-1]

    def symbols(self) -> Collection[str]:
        """Return the recorded symbols."""
        return list(self._by_symbol)

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Return the ticks of `symbols` between the last poll and this one."""
        wanted = frozenset(symbols)
        with self._lock:
            self._reached = self.now()
            self._reached_at = self._clock.monotonic()
            due = bisect_right(self._times, self._reached)
            ticks = self._ticks[self._position : due]
            self._position = max(self._position, due)
        return [tick for tick in ticks if tick.symbol in wanted]

    def latest(self, symbol: str) -> Quote | None:
        """Return the last tick up to the last poll, or None before the first tick of `symbol`.

        It is not the last tick up to now: a trade opened at this price must see every later tick.
        """
        ticks = self._by_symbol.get(symbol, [])
        index = bisect_right(ticks, self._reached or self.now(), key=_time)
        return ticks[index - 1] if index else None

    def now(self) -> datetime:
        """Return the recorded time that the replay has reached."""
        elapsed = (self._clock.monotonic() - self._started + self._head_start) * self._speed
        # Seconds are compared first, because a fast replay would overflow a datetime.
        if elapsed >= (self.last_time - self._times[0]).total_seconds():
            return self.last_time
        return self._times[0] + timedelta(seconds=elapsed)

    def market_time(self) -> datetime:
        """Return the recorded time of the last poll, up to which its prices are known.

        In a process that does not poll, it is the time that the replay has reached.
        """
        is_idle = self._clock.monotonic() - self._reached_at > self._idle_seconds
        return self.now() if is_idle or self._reached is None else self._reached

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        """Return candles of a minute from the recorded ticks."""
        ticks = self._admitted.get(symbol, [])
        first = bisect_right(ticks, since, key=_time)
        last = bisect_right(ticks, until, key=_time)
        minutes = groupby(ticks[first:last], key=_minute)
        return [Candle.of(list(group)) for _, group in minutes]

    def history(
        self, symbol: str, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return the recorded candles up to the last poll."""
        if symbol not in self._recorded:
            return []
        reached = self._reached or self.now()
        candles = self._recorded[symbol][interval]
        first = bisect_left(candles, since, key=_beginning)
        last = bisect_left(candles, min(until, beginning_of(reached, interval)), key=_beginning)
        forming = self._forming(symbol, interval, reached)
        return candles[first:last] + [candle for candle in forming if since <= candle.time < until]

    def _forming(self, symbol: str, interval: Interval, reached: datetime) -> list[Candle]:
        """Return the current candle, from the ticks so far; none before the first tick."""
        minute = beginning_of(reached, Interval.MINUTE)
        ticks = self._admitted[symbol]
        seen = ticks[
            bisect_left(ticks, minute, key=_time) : bisect_right(ticks, reached, key=_time)
        ]
        minutes = self._recorded[symbol][Interval.MINUTE]
        first = bisect_left(minutes, beginning_of(reached, interval), key=_beginning)
        parts = minutes[first : bisect_left(minutes, minute, key=_beginning)]
        return aggregate(parts + ([Candle.of(seen)] if seen else []), interval)

    def _admit(self, ticks: list[Quote], max_move: Decimal | None, factors: Factors) -> list[Quote]:
        """Return the ticks of one symbol that a filter with `max_move` admits."""
        if max_move is None or not any(
            abs(tick.price - last.price) > max_move * last.price for last, tick in pairwise(ticks)
        ):
            return ticks
        tick_filter = TickFilter(
            self._clock, max_age=timedelta.max, max_move=max_move, factors=factors
        )
        return tick_filter.admit(ticks)

    def skip_to(self, time: datetime) -> None:
        """Return no more ticks up to `time`."""
        with self._lock:
            self._position = max(self._position, bisect_right(self._times, time))
            # Not back to it: prices would be older than those that were returned before.
            self._reached = max(self._reached or self.now(), time)


def fingerprint(ticks: list[Quote]) -> str:
    """Return a hash that identifies a recording."""
    digest = sha256()
    for start in range(0, len(ticks), _HASHED_TICKS):
        lines = [
            f"{tick.symbol} {tick.price} {tick.timestamp.isoformat()}\n"
            for tick in ticks[start : start + _HASHED_TICKS]
        ]
        digest.update("".join(lines).encode())
    return digest.hexdigest()


def _candles_of(ticks: list[Quote]) -> dict[Interval, list[Candle]]:
    """Return the candles of one symbol for all intervals, each built from the interval before.

    Computed once at start, so that the cost of a request does not depend on the recording.
    """
    parts = [Candle.of(list(group)) for _, group in groupby(ticks, key=_minute)]
    candles = {}
    for interval in Interval:
        parts = aggregate(parts, interval)
        candles[interval] = parts
    return candles


def _minute(tick: Quote) -> datetime:
    return tick.timestamp.replace(second=0, microsecond=0)
