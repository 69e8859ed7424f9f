"""One source with a deadline, retries and a circuit breaker.

However the source behaves, a call returns or raises SourceError in time. A source that keeps
failing is paused, then probed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from app.clock import Clock
from app.concurrency import in_background
from app.domain.candle import IST, Candle, Interval, sound_candles
from app.domain.money import is_price
from app.domain.quote import Quote
from app.logs import logger
from app.market_data.instruments.registry import Instrument
from app.market_data.providers.base import (
    ActionSource,
    HistoryRefused,
    PriceSource,
    ReportedAction,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from app.market_data.providers.breaker import Breaker

T = TypeVar("T")

FETCH_SECONDS = 5.0
# A year of candles takes a source several requests.
CANDLES_SECONDS = 20.0
# A source stops at this share of the time, so that its partial result still arrives.
SOURCE_SHARE = 0.8
FAILURES_TO_OPEN = 3
ATTEMPTS = 2
# Maximum calls that missed their deadline and still run. No call is made beyond them.
MAX_ABANDONED = 3


class ResilientSource:
    def __init__(
        self,
        source: PriceSource,
        clock: Clock,
        *,
        probe_seconds: float,
        fetch_seconds: float = FETCH_SECONDS,
        candles_seconds: float = CANDLES_SECONDS,
    ) -> None:
        """Guard `source`; while its breaker is open, probe it every `probe_seconds`."""
        self.source = source.source
        self.name = source.source.value
        self.knows = source.knows
        self.batch_size = source.batch_size
        self._source = source
        self._clock = clock
        self._fetch_seconds = fetch_seconds
        self._candles_seconds = candles_seconds
        # Candles often have a separate limit: their failures say nothing about quotes.
        self._quotes = self._breaker("quotes", probe_seconds)
        self._history = self._breaker("candles", probe_seconds)
        self._abandoned = 0
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._answered_at: float | None = None
        self._error: str | None = None
        self._refused: SourceRefused | None = None
        self._candles_refused: HistoryRefused | None = None
        self._candles_refused_on: date | None = None

    def fetch(self, instruments: Sequence[Instrument]) -> list[Quote]:
        """Return the quotes of at most `batch_size` instruments; raise SourceError."""
        quotes = self._call(
            self._quotes,
            self._fetch_seconds,
            lambda deadline: self._source.fetch(instruments, deadline=deadline),
        )
        return [quote for quote in quotes if is_price(quote.price)]

    def candles(
        self, instrument: Instrument, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return the candles from `since` to before `until`, oldest first; raise SourceError."""
        today = self._clock.now().astimezone(IST).date()
        if self._candles_refused and self._candles_refused_on == today:
            raise self._candles_refused
        try:
            candles = self._call(
                self._history,
                self._candles_seconds,
                lambda deadline: self._source.candles(
                    instrument, interval, since, until, deadline=deadline
                ),
            )
        except HistoryRefused as error:
            if self._candles_refused_on != today:
                logger.warning("%s: candle requests stop for today: %s", self.name, error)
            self._candles_refused, self._candles_refused_on = error, today
            raise
        return sound_candles(candles)

    def actions(self, instrument: Instrument, since: datetime) -> list[ReportedAction]:
        """Return the splits and dividends since a time, none of a source that reports none.

        Raises SourceError.
        """
        source = self._source
        if not isinstance(source, ActionSource):
            return []
        return self._call(
            self._history,
            self._candles_seconds,
            lambda deadline: source.actions(instrument, since, deadline=deadline),
        )

    def describe(self) -> dict[str, Any]:
        """Return its state for an operator: breaker, last response, last error."""
        answered = self._answered_at
        return {
            "status": "refused" if self._refused else self._quotes.state.value,
            "seconds_since_last_answer": (
                None if answered is None else round(self._clock.monotonic() - answered, 1)
            ),
            "last_error": self._error,
        }

    def _call(self, breaker: Breaker, seconds: float, request: Callable[[float], T]) -> T:
        if self._refused:
            raise self._refused
        wait = self._not_before - self._clock.monotonic()
        if wait > 0:
            raise SourceUnavailable(f"{self.name} asked for a pause of {wait:.0f} s more")
        if not breaker.allows():
            raise SourceUnavailable(f"{self.name} failed too often and is paused")
        try:
            result = self._run_with_deadline(seconds, request)
        except HistoryRefused:
            # The source works, and every further request would get this response.
            breaker.succeeded()
            raise
        except SourceError as error:
            breaker.failed()
            self._record(error)
            raise
        breaker.succeeded()
        self._answered_at = self._clock.monotonic()
        self._error = None
        return result

    def _run_with_deadline(self, seconds: float, request: Callable[[float], T]) -> T:
        """Run the request with its retries in the background; abandon it after `seconds`."""
        if self._abandoned >= MAX_ABANDONED:
            raise SourceUnavailable(f"{self.name} still has not answered earlier requests")
        deadline = time.monotonic() + SOURCE_SHARE * seconds
        future = in_background(_with_retries, request, deadline)
        try:
            return future.result(seconds)
        except TimeoutError:
            self._count_abandoned(1)
            future.add_done_callback(lambda _: self._count_abandoned(-1))
            raise SourceUnavailable(f"{self.name} did not answer in {seconds:g} s") from None
        except SourceError:
            raise
        except Exception as error:
            # A defect in reading one source's response must not stop the other sources.
            logger.exception("%s: unusable response", self.name)
            raise SourceUnavailable(f"{self.name}: {type(error).__name__}") from error

    def _count_abandoned(self, change: int) -> None:
        with self._lock:
            self._abandoned += change

    def _record(self, error: SourceError) -> None:
        self._error = str(error)
        if isinstance(error, SourceRefused):
            if self._refused is None:
                logger.error("%s: requests stop until a restart: %s", self.name, error)
            self._refused = error
        elif isinstance(error, SourceUnavailable) and error.retry_after:
            self._not_before = self._clock.monotonic() + error.retry_after

    def _breaker(self, kind: str, probe_seconds: float) -> Breaker:
        return Breaker(
            f"{self.name} {kind}",
            self._clock,
            failures=FAILURES_TO_OPEN,
            probe_seconds=probe_seconds,
        )


def _with_retries(request: Callable[[float], T], deadline: float) -> T:
    def is_worth_a_retry(error: BaseException) -> bool:
        if isinstance(error, HistoryRefused) or time.monotonic() >= deadline:
            return False
        return isinstance(error, SourceUnavailable) and error.retry_after is None

    return Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.2, max=1),
        retry=retry_if_exception(is_worth_a_retry),
        reraise=True,
    )(request, deadline)
