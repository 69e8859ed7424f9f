"""Yahoo as a source of prices."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from datetime import datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING

from app.clock import Clock
from app.concurrency import BackgroundPool, run_blocking
from app.domain.candle import Candle, Interval
from app.domain.quote import Quote, Source
from app.logs import logger
from app.market_data.instruments.registry import DEFAULT_INDICES, Instrument
from app.market_data.providers.base import NO_DEADLINE, ReportedAction, SourceUnavailable
from config import Settings

if TYPE_CHECKING:
    from app.market_data.providers.yahoo.charts import Charts

# Maximum requests at a time. Each occupies one of the real threads (10 under gevent, 20 under
# eventlet) that hashing passwords needs as well.
MAX_REQUESTS = 6
QUOTE_SECONDS = 3.0
CANDLES_SECONDS = 8.0
# How far back Yahoo keeps candles, and the maximum span of one request, according to its own
# errors ("1m data not available ... must be within the last 30 days", "only 8 days worth").
KEPT = {
    Interval.MINUTE: timedelta(days=30),
    Interval.FIVE_MINUTES: timedelta(days=60),
    Interval.QUARTER_HOUR: timedelta(days=60),
    Interval.HOUR: timedelta(days=730),
}
MAX_SPAN = {Interval.MINUTE: timedelta(days=7)}
# The oldest candle would be out of reach by the time the request arrives.
EDGE = timedelta(minutes=5)


class YahooSource:
    source = Source.YAHOO
    batch_size = 25

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Use Yahoo, or the server at YAHOO_ROOT_URL. The first request loads yfinance."""
        self._root_url = settings.yahoo_root_url
        self._clock = clock
        self._charts: Charts | None = None
        self._loading = threading.Lock()
        self._pool = BackgroundPool(MAX_REQUESTS)

    def knows(self, instrument: Instrument) -> bool:
        """Return whether Yahoo may list the instrument: its symbols are the same as ours."""
        return instrument.symbol.startswith("^") or instrument.symbol.endswith((".NS", ".BO"))

    def fetch(
        self, instruments: Sequence[Instrument], *, deadline: float = NO_DEADLINE
    ) -> list[Quote]:
        """Return the latest price of each that has one; raise SourceUnavailable.

        Each symbol is a request, and several are made in parallel. Symbols without a response by
        the deadline are left out.
        """
        charts = self._load()
        futures = [
            self._pool.submit(charts.latest, instrument.symbol, QUOTE_SECONDS, deadline)
            for instrument in instruments
        ]
        try:
            return _gather(futures, deadline)
        finally:
            for future in futures:
                future.cancel()

    def candles(
        self,
        instrument: Instrument,
        interval: Interval,
        since: datetime,
        until: datetime,
        *,
        deadline: float = NO_DEADLINE,
    ) -> list[Candle]:
        """Return the candles from `since` to before `until` that Yahoo has.

        Raises SourceUnavailable. Prices are adjusted for splits, not for dividends.
        """
        charts = self._load()
        candles: dict[datetime, Candle] = {}
        for begin, end in self._spans(interval, since, until):
            future = self._pool.submit(
                charts.candles,
                instrument.symbol,
                interval,
                begin,
                end,
                seconds=CANDLES_SECONDS,
                deadline=deadline,
            )
            candles.update((candle.time, candle) for candle in future.result())
        return list(candles.values())

    def actions(
        self, instrument: Instrument, since: datetime, *, deadline: float = NO_DEADLINE
    ) -> list[ReportedAction]:
        """Return the splits and dividends since a time; raise SourceUnavailable.

        Yahoo reports a bonus as a split, and dividends divided by later splits.
        """
        charts = self._load()
        future = self._pool.submit(
            charts.actions,
            instrument.symbol,
            since,
            self._clock.now(),
            seconds=CANDLES_SECONDS,
            deadline=deadline,
        )
        return future.result()

    def verify(self) -> str:
        """Request one index; raise SourceUnavailable, which says what to correct."""
        symbol = DEFAULT_INDICES[0]
        charts = self._load()
        try:
            quote = self._pool.submit(charts.latest, symbol, CANDLES_SECONDS).result()
        except SourceUnavailable as error:
            remedy = (
                f"wait {error.retry_after:.0f} s or more, and poll less often"
                if error.retry_after
                else "look at the network, the proxy and YAHOO_ROOT_URL"
            )
            raise SourceUnavailable(f"{error}; {remedy}", retry_after=error.retry_after) from None
        if quote is None:
            raise SourceUnavailable(f"Yahoo has no price of {symbol}; look at YAHOO_ROOT_URL")
        return f"{symbol} at {quote.price}, made {quote.timestamp:%Y-%m-%d %H:%M} UTC"

    def _load(self) -> Charts:
        with self._loading:
            if self._charts is None:
                module = run_blocking(import_module, "app.market_data.providers.yahoo.charts")
                self._charts = module.Charts(self._root_url)
            return self._charts

    def _spans(
        self, interval: Interval, since: datetime, until: datetime
    ) -> Iterator[tuple[datetime, datetime]]:
        """Split a span into spans that Yahoo accepts, without the part that it no longer has."""
        now = self._clock.now()
        if interval in KEPT:
            since = max(since, now - KEPT[interval] + EDGE)
        until = min(until, now)
        while since < until:
            end = min(until, since + MAX_SPAN.get(interval, until - since))
            yield since, end
            since = end


def _gather(futures: Iterable[Future[Quote | None]], deadline: float) -> list[Quote]:
    """Return the quotes that arrive by the deadline; a rate limit fails the whole batch."""
    quotes: list[Quote] = []
    errors: list[SourceUnavailable] = []
    timeout = None if deadline == NO_DEADLINE else max(deadline - time.monotonic(), 0)
    try:
        for future in as_completed(futures, timeout):
            try:
                quote = future.result()
            except SourceUnavailable as error:
                if error.retry_after:
                    raise
                errors.append(error)
            else:
                quotes += [quote] if quote else []
    except TimeoutError:
        errors.append(SourceUnavailable("Yahoo did not answer in time"))
    for failure in errors:
        logger.debug("yahoo: %s", failure)
    if errors and not quotes:
        raise errors[0]
    return quotes
