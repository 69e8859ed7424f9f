"""Yahoo as a source of prices."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING

from app.clock import Clock
from app.concurrency import run_blocking, spawn
from app.domain.candle import Candle, Interval
from app.domain.quote import Quote, Source
from app.logs import logger
from app.market_data.instruments.registry import DEFAULT_INDICES, Instrument
from app.market_data.providers.base import SourceUnavailable
from config import Settings

if TYPE_CHECKING:
    from app.market_data.providers.yahoo.charts import Charts

# A question to Yahoo ends within this, whatever some of its symbols do.
FETCH_SECONDS = 4.0
# So long may one request take: a symbol that hangs leaves the others time.
REQUEST_SECONDS = 3.0
CANDLES_SECONDS = 18.0
CANDLES_REQUEST_SECONDS = 8.0
WORKERS = 5
# How far back Yahoo keeps candles, and how much of them it gives at once, as its own refusals
# say ("1m data not available ... must be within the last 30 days", "only 8 days worth").
KEPT = {
    Interval.MINUTE: timedelta(days=30),
    Interval.FIVE_MINUTES: timedelta(days=60),
    Interval.QUARTER_HOUR: timedelta(days=60),
    Interval.HOUR: timedelta(days=730),
}
AT_ONCE = {Interval.MINUTE: timedelta(days=7)}
# Asked for at the very edge, a span is out of reach before the request arrives.
EDGE = timedelta(minutes=5)

_loading = threading.Lock()


class YahooSource:
    source = Source.YAHOO
    batch_size = 25

    def __init__(
        self, settings: Settings, clock: Clock, *, fetch_seconds: float = FETCH_SECONDS
    ) -> None:
        """Ask Yahoo, or YAHOO_ROOT_URL in its place. Nothing is loaded before it is asked."""
        self._root_url = settings.yahoo_root_url
        self._clock = clock
        self._fetch_seconds = fetch_seconds
        self._opened: Charts | None = None

    def knows(self, instrument: Instrument) -> bool:
        """Tell whether it may have the instrument: the symbols here are Yahoo's own."""
        return instrument.symbol.startswith("^") or instrument.symbol.endswith((".NS", ".BO"))

    def fetch(self, instruments: Sequence[Instrument]) -> list[Quote]:
        """Return the latest price of each that has one; raise SourceUnavailable.

        A few workers make one request a symbol. Who has no answer in time is left out.
        """
        charts = self._charts()
        deadline = time.monotonic() + self._fetch_seconds
        waiting = deque(each.symbol for each in instruments)
        outcomes: _Outcomes = queue.Queue()
        for _ in range(min(WORKERS, len(waiting))):
            spawn(_work, charts, waiting, deadline, outcomes)
        try:
            return self._gather(outcomes, len(instruments), deadline)
        finally:
            # Whoever is late asks for nothing more.
            waiting.clear()

    def candles(
        self, instrument: Instrument, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return the candles from `since` to before `until` that Yahoo has; SourceUnavailable.

        Their prices are adjusted for splits, not for dividends.
        """
        charts = self._charts()
        deadline = time.monotonic() + CANDLES_SECONDS
        found: dict[datetime, Candle] = {}
        for begin, end in self._spans(interval, since, until):
            candles = charts.candles(
                instrument.symbol,
                interval,
                begin,
                end,
                seconds=CANDLES_REQUEST_SECONDS,
                deadline=deadline,
            )
            found.update((each.time, each) for each in candles)
        return list(found.values())

    def verify(self) -> str:
        """Ask for one index; raise SourceUnavailable, which says what to do."""
        symbol = DEFAULT_INDICES[0]
        deadline = time.monotonic() + CANDLES_REQUEST_SECONDS
        try:
            quote = self._charts().latest(symbol, CANDLES_REQUEST_SECONDS, deadline)
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

    def _charts(self) -> Charts:
        with _loading:
            if self._opened is None:
                module = run_blocking(import_module, "app.market_data.providers.yahoo.charts")
                self._opened = module.Charts(self._root_url)
            return self._opened

    def _gather(self, outcomes: _Outcomes, number: int, deadline: float) -> list[Quote]:
        """Collect so many outcomes by the deadline; a rate limit ends it for all."""
        quotes: list[Quote] = []
        troubles: list[SourceUnavailable] = []
        for _ in range(number):
            try:
                outcome = outcomes.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                troubles.append(
                    SourceUnavailable(f"Yahoo did not answer in {self._fetch_seconds:g} s")
                )
                break
            if isinstance(outcome, Quote):
                quotes.append(outcome)
            elif outcome is not None:
                troubles.append(outcome)
                if outcome.retry_after:
                    raise outcome
        for trouble in troubles:
            logger.debug("yahoo: %s", trouble)
        if troubles and not quotes:
            raise troubles[0]
        return quotes

    def _spans(
        self, interval: Interval, since: datetime, until: datetime
    ) -> Iterator[tuple[datetime, datetime]]:
        """Cut a span into what Yahoo gives at once, without what it keeps no more."""
        now = self._clock.now()
        if interval in KEPT:
            since = max(since, now - KEPT[interval] + EDGE)
        until = min(until, now)
        while since < until:
            end = min(until, since + AT_ONCE.get(interval, until - since))
            yield since, end
            since = end


_Outcomes = queue.Queue[Quote | SourceUnavailable | None]


def _work(charts: Charts, waiting: deque[str], deadline: float, outcomes: _Outcomes) -> None:
    """Ask for one symbol after the other, until none is waiting."""
    while True:
        try:
            symbol = waiting.popleft()
        except IndexError:
            return
        try:
            outcomes.put(charts.latest(symbol, REQUEST_SECONDS, deadline))
        except SourceUnavailable as error:
            outcomes.put(error)
