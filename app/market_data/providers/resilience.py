"""One source behind a deadline, retries with jitter, and a circuit breaker.

However the source behaves, a question to it ends in time: with an answer or a SourceError. One
that fails again and again is left alone for a while, then tried once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from app.clock import Clock
from app.concurrency import spawn
from app.domain.candle import IST, Candle, Interval, sound_candles
from app.domain.money import is_price
from app.domain.quote import Quote
from app.logs import logger
from app.market_data.instruments.registry import Instrument
from app.market_data.providers.base import (
    HistoryRefused,
    PriceSource,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from app.market_data.providers.breaker import Breaker

T = TypeVar("T")

FETCH_SECONDS = 5.0
# A year of candles takes a source several requests.
CANDLES_SECONDS = 20.0
FAILURES_TO_OPEN = 3
ATTEMPTS = 2
# Questions that were given up and still hang; with so many, no further one is asked.
MAX_GIVEN_UP = 3


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
        """Guard `source`; once it has failed too often, try it again each `probe_seconds`."""
        self.source = source
        self._clock = clock
        self._fetch_seconds = fetch_seconds
        self._candles_seconds = candles_seconds
        # Candles often have limits of their own: their failures say nothing about quotes.
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

    @property
    def name(self) -> str:
        return self.source.source.value

    @property
    def batch_size(self) -> int:
        return self.source.batch_size

    def knows(self, instrument: Instrument) -> bool:
        """Tell whether the source could price the instrument at all."""
        return self.source.knows(instrument)

    def fetch(self, instruments: Sequence[Instrument]) -> list[Quote]:
        """Return the quotes it has of at most `batch_size` instruments; raise SourceError."""
        found = self._ask(self._quotes, self._fetch_seconds, lambda: self.source.fetch(instruments))
        return [each for each in found if is_price(each.price)]

    def candles(
        self, instrument: Instrument, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return the candles from `since` to before `until`, oldest first; raise SourceError."""
        today = self._clock.now().astimezone(IST).date()
        if self._candles_refused and self._candles_refused_on == today:
            raise self._candles_refused
        try:
            found = self._ask(
                self._history,
                self._candles_seconds,
                lambda: self.source.candles(instrument, interval, since, until),
            )
        except HistoryRefused as error:
            if self._candles_refused_on != today:
                logger.warning("%s is not asked for candles again today: %s", self.name, error)
            self._candles_refused, self._candles_refused_on = error, today
            raise
        return sound_candles(found)

    def describe(self) -> dict[str, Any]:
        """Return its condition for an operator: breaker, last answer, last error."""
        answered = self._answered_at
        return {
            "status": "refused" if self._refused else self._quotes.state.value,
            "seconds_since_last_answer": (
                None if answered is None else round(self._clock.monotonic() - answered, 1)
            ),
            "last_error": self._error,
        }

    def _ask(self, breaker: Breaker, seconds: float, work: Callable[[], T]) -> T:
        if self._refused:
            raise self._refused
        wait = self._not_before - self._clock.monotonic()
        if wait > 0:
            raise SourceUnavailable(f"{self.name} asked to be left alone for {wait:.0f} s more")
        if not breaker.allows():
            raise SourceUnavailable(f"{self.name} failed too often and is left alone")
        try:
            answer = self._attempt(seconds, work)
        except HistoryRefused:
            # It answers, and would answer so each time.
            breaker.succeeded()
            raise
        except SourceError as error:
            breaker.failed()
            self._note(error)
            raise
        breaker.succeeded()
        self._answered_at = self._clock.monotonic()
        self._error = None
        return answer

    def _attempt(self, seconds: float, work: Callable[[], T]) -> T:
        """Run `work` with its retries in the background, and wait for it so long."""
        if self._abandoned >= MAX_GIVEN_UP:
            raise SourceUnavailable(f"{self.name} still has not answered earlier questions")
        answer: _Answer[T] = _Answer()
        spawn(self._run, answer, work)
        if not answer.ready.wait(seconds):
            with self._lock:
                answer.given_up = not answer.ready.is_set()
                self._abandoned += answer.given_up
            raise SourceUnavailable(f"{self.name} did not answer in {seconds:g} s")
        if answer.error is not None:
            raise answer.error
        return answer.values[0]

    def _run(self, answer: _Answer[T], work: Callable[[], T]) -> None:
        try:
            answer.values.append(_retrying(work))
        except SourceError as error:
            answer.error = error
        except Exception as error:
            # A fault of our own in reading an answer must not take the other sources down.
            logger.exception("%s: an answer could not be used", self.name)
            answer.error = SourceUnavailable(f"{self.name}: {type(error).__name__}")
        finally:
            with self._lock:
                self._abandoned -= answer.given_up
                answer.ready.set()

    def _note(self, error: SourceError) -> None:
        self._error = str(error)
        if isinstance(error, SourceRefused):
            if self._refused is None:
                logger.error("%s is not asked again until a restart: %s", self.name, error)
            self._refused = error
        elif isinstance(error, SourceUnavailable) and error.retry_after:
            self._not_before = self._clock.monotonic() + error.retry_after

    def _breaker(self, what: str, probe_seconds: float) -> Breaker:
        return Breaker(
            f"{self.name} {what}",
            self._clock,
            failures=FAILURES_TO_OPEN,
            probe_seconds=probe_seconds,
        )


@dataclass(slots=True)
class _Answer(Generic[T]):
    """What came of a question that runs in the background."""

    ready: threading.Event = field(default_factory=threading.Event)
    values: list[T] = field(default_factory=list)
    error: SourceError | None = None
    given_up: bool = False


def _retrying(work: Callable[[], T]) -> T:
    return Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.2, max=1),
        retry=retry_if_exception(_is_worth_another_try),
        reraise=True,
    )(work)


def _is_worth_another_try(error: BaseException) -> bool:
    if isinstance(error, HistoryRefused):
        return False
    return isinstance(error, SourceUnavailable) and error.retry_after is None
