"""Candles for charts: which ones a request means, and a cache between requests and the feed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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

# Real candles that ended so long ago do not change any more: late trades are in them.
SETTLED_AFTER = timedelta(hours=1)
SETTLED_SECONDS = 3_600.0
# Kept in all, about 30 MB.
MAX_KEPT_CANDLES = 50_000


@dataclass(frozen=True, slots=True)
class Window:
    """The candles of `symbol` that begin from `since` to before `until`.

    Both are beginnings of candles, so that requests that mean the same candles are equal.
    """

    symbol: str
    interval: Interval
    since: datetime
    until: datetime


def choose_window(
    symbol: str, interval: Interval, since: datetime | None, until: datetime | None, now: datetime
) -> Window:
    """Return what a request means that may leave both ends open, `now` being the feed's time.

    Raises InvalidRequest for a span that is empty, too long, or out of this world.
    """
    for name, given in (("from", since), ("to", until)):
        if given is not None and not EARLIEST <= given <= LATEST:
            _refuse(name, f"must be from {_written(EARLIEST)} to {_written(LATEST)}")
    if since is not None and since >= (until or now):
        _refuse("from", f"must be before `to`, which is {_written(until or now)}")
    end = beginning_of(now, interval) + interval.length
    if until is not None:
        end = min(end, first_beginning_from(until, interval))
    if since is None:
        return Window(symbol, interval, end - DEFAULT_CANDLES * interval.length, end)
    start = first_beginning_from(since, interval)
    earliest = end - MAX_CANDLES * interval.length
    if start < earliest:
        _refuse(
            "from",
            f"must be {_written(earliest)} or later: "
            f"one request answers at most {MAX_CANDLES:,} candles",
        )
    return Window(symbol, interval, start, max(start, end))


def _refuse(name: str, rule: str) -> None:
    raise InvalidRequest(f"`{name}` {rule}.", code="invalid_range", details={name: rule})


def _written(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class _Answer:
    candles: tuple[Candle, ...]
    good_until: float


class CandleHistory:
    """The candles of the feed, asked for once by however many want the same at a time."""

    def __init__(self, feed: Feed, clock: Clock, *, fresh_seconds: float) -> None:
        """Serve what may still change for `fresh_seconds`."""
        self._feed = feed
        self._clock = clock
        self._fresh_seconds = fresh_seconds
        self._lock = threading.Lock()
        # The one that was not wanted for the longest time comes first.
        self._kept: OrderedDict[Window, _Answer] = OrderedDict()
        self._kept_candles = 0
        self._awaited: dict[Window, Future[tuple[Candle, ...]]] = {}

    def candles(
        self, symbol: str, interval: Interval, since: datetime | None, until: datetime | None
    ) -> tuple[Candle, ...]:
        """Return candles, oldest first; the last one may still be forming.

        Raises InvalidRequest (see choose_window), MarketDataUnavailable where the feed cannot
        tell now.
        """
        window = choose_window(symbol, interval, since, until, self._feed.now())
        if window.since == window.until:
            return ()
        with self._lock:
            kept = self._kept.get(window)
            if kept and self._clock.monotonic() < kept.good_until:
                self._kept.move_to_end(window)
                return kept.candles
            awaited = self._awaited.get(window)
            if awaited is None:
                self._awaited[window] = Future()
        return awaited.result() if awaited else self._ask(window)

    def _ask(self, window: Window) -> tuple[Candle, ...]:
        """Ask the feed, on behalf of all who want the same meanwhile."""
        try:
            found = self._feed.history(window.symbol, window.interval, window.since, window.until)
            candles = tuple(sound_candles(found))
        except BaseException as error:
            # One whose request is ended from outside must not end the others'.
            told = error if isinstance(error, Exception) else _interrupted(window)
            self._awaited.pop(window).set_exception(told)
            raise
        with self._lock:
            self._keep(window, candles)
            awaited = self._awaited.pop(window)
        awaited.set_result(candles)
        return candles

    def _keep(self, window: Window, candles: tuple[Candle, ...]) -> None:
        self._drop(window)
        seconds = SETTLED_SECONDS if self._is_settled(window, candles) else self._fresh_seconds
        self._kept[window] = _Answer(candles, self._clock.monotonic() + seconds)
        self._kept_candles += _weight(candles)
        while self._kept_candles > MAX_KEPT_CANDLES:
            self._drop(next(iter(self._kept)))

    def _drop(self, window: Window) -> None:
        answer = self._kept.pop(window, None)
        if answer:
            self._kept_candles -= _weight(answer.candles)

    def _is_settled(self, window: Window, candles: tuple[Candle, ...]) -> bool:
        # What is simulated or recorded costs little, and may stand in for a source that fails.
        is_real = bool(candles) and all(each.source.is_real for each in candles)
        return is_real and window.until + SETTLED_AFTER <= self._feed.now()


def _weight(candles: tuple[Candle, ...]) -> int:
    # An empty answer takes room as well.
    return len(candles) + 1


def _interrupted(window: Window) -> MarketDataUnavailable:
    return MarketDataUnavailable(
        f"The history of {window.symbol} could not be fetched just now. Try again."
    )
