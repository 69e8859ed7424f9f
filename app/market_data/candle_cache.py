"""Candles for charts: the window that a request means, and a cache of the feed's responses."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cachetools import TLRUCache

from app.clock import Clock
from app.domain.candle import (
    EARLIEST,
    LATEST,
    Candle,
    Interval,
    beginning_of,
    first_beginning_from,
    sound_candles,
)
from app.domain.errors import InvalidRequest, MarketDataUnavailable
from app.market_data.feed import Feed

DEFAULT_CANDLES = 500
MAX_CANDLES = 1_000

# Real candles that ended this long ago no longer change: they include late trades.
SETTLED_AFTER = timedelta(hours=1)
SETTLED_SECONDS = 3_600.0
# About 30 MB.
MAX_CACHED_CANDLES = 50_000


@dataclass(frozen=True, slots=True)
class Window:
    """The candles of `symbol` that begin from `since` to before `until`.

    Both are the beginning of a candle, so requests for the same candles have equal windows.
    """

    symbol: str
    interval: Interval
    since: datetime
    until: datetime


def choose_window(
    symbol: str, interval: Interval, since: datetime | None, until: datetime | None, now: datetime
) -> Window:
    """Return the window of a request with optional ends; `now` is the feed's time.

    Raises InvalidRequest if the period is empty, too long, or outside EARLIEST to LATEST.
    """
    for name, end in (("from", since), ("to", until)):
        if end is not None and not EARLIEST <= end <= LATEST:
            _refuse(name, f"must be from {_format(EARLIEST)} to {_format(LATEST)}")
    if since is not None and since >= (until or now):
        _refuse("from", f"must be before `to`, which is {_format(until or now)}")
    last = beginning_of(now, interval) + interval.length
    if until is not None:
        last = min(last, first_beginning_from(until, interval))
    if since is None:
        return Window(symbol, interval, last - DEFAULT_CANDLES * interval.length, last)
    start = first_beginning_from(since, interval)
    earliest = last - MAX_CANDLES * interval.length
    if start < earliest:
        _refuse(
            "from",
            f"must be {_format(earliest)} or later: "
            f"one request returns at most {MAX_CANDLES:,} candles",
        )
    return Window(symbol, interval, start, max(start, last))


def _refuse(name: str, rule: str) -> None:
    raise InvalidRequest(f"`{name}` {rule}.", code="invalid_range", details={name: rule})


def _format(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class CandleHistory:
    """The candles of the feed, cached. Concurrent requests for the same window ask once."""

    def __init__(
        self,
        feed: Feed,
        clock: Clock,
        *,
        fresh_seconds: float,
        max_candles: int = MAX_CACHED_CANDLES,
    ) -> None:
        """Keep candles that may still change for `fresh_seconds`."""
        self._feed = feed
        self._fresh_seconds = fresh_seconds
        self._lock = threading.Lock()
        self.cache: TLRUCache[Window, tuple[Candle, ...]] = TLRUCache(
            max_candles, self._expiry, timer=clock.monotonic, getsizeof=_size
        )
        self._pending: dict[Window, Future[tuple[Candle, ...]]] = {}

    def candles(
        self, symbol: str, interval: Interval, since: datetime | None, until: datetime | None
    ) -> tuple[Candle, ...]:
        """Return candles, oldest first; the last one may still be forming.

        Raises InvalidRequest (see choose_window), or MarketDataUnavailable if the feed cannot
        answer now.
        """
        window = choose_window(symbol, interval, since, until, self._feed.now())
        if window.since == window.until:
            return ()
        with self._lock:
            cached = self.cache.get(window)
            if cached is not None:
                return cached
            pending = self._pending.get(window)
            if pending is None:
                self._pending[window] = Future()
        return pending.result() if pending else self._fetch(window)

    def _fetch(self, window: Window) -> tuple[Candle, ...]:
        """Ask the feed for this request, and for all others that wait for the same window."""
        try:
            history = self._feed.history(window.symbol, window.interval, window.since, window.until)
            candles = tuple(sound_candles(history))
        except BaseException as error:
            # A request that is killed must not kill the others.
            shared = error if isinstance(error, Exception) else _interrupted(window)
            self._pending.pop(window).set_exception(shared)
            raise
        with self._lock:
            self.cache[window] = candles
            pending = self._pending.pop(window)
        pending.set_result(candles)
        return candles

    def _expiry(self, window: Window, candles: tuple[Candle, ...], now: float) -> float:
        # Simulated and recorded candles cost little, and may replace those of a failed source.
        is_real = bool(candles) and all(candle.source.is_real for candle in candles)
        is_settled = is_real and window.until + SETTLED_AFTER <= self._feed.now()
        return now + (SETTLED_SECONDS if is_settled else self._fresh_seconds)


def _size(candles: tuple[Candle, ...]) -> int:
    # An empty result occupies memory as well.
    return len(candles) + 1


def _interrupted(window: Window) -> MarketDataUnavailable:
    return MarketDataUnavailable(
        f"The history of {window.symbol} could not be fetched just now. Try again."
    )
