"""The interface of every real source of prices, and its errors.

SourceError
├── SourceUnavailable   may succeed later: a timeout, a rate limit, a server error
│   └── HistoryRefused  this account gets no candles today; its quotes still work
└── SourceRefused       fails until an operator acts, for example on wrong credentials

The messages are written for logs: they name what happened and contain no secret.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

from app.domain.candle import Candle, Interval
from app.domain.corporate_actions import Ratio
from app.domain.quote import Quote, Source
from app.market_data.instruments.registry import Instrument

NO_DEADLINE = math.inf


class SourceError(Exception):
    """A source did not answer. See the tree above."""


class SourceUnavailable(SourceError):
    """The same request may succeed later, in `retry_after` seconds if the source says so."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SourceRefused(SourceError):
    """The source rejects our credentials. A retry could lock the account."""


class HistoryRefused(SourceUnavailable):
    """The source gives this account no candles. Its quotes are not affected."""


class PriceSource(Protocol):
    """One source. Its methods block, and several threads may call them at the same time.

    Each request is bounded in time, and none begins after `deadline` (`time.monotonic()`).
    Retries and the circuit breaker are in resilience.py, the fallback is in feeds/live.py.
    """

    source: Source
    # Maximum instruments of one `fetch`.
    batch_size: int

    def knows(self, instrument: Instrument) -> bool:
        """Return whether this source can have prices of the instrument."""

    def fetch(
        self, instruments: Sequence[Instrument], *, deadline: float = NO_DEADLINE
    ) -> list[Quote]:
        """Return a quote of each instrument that has a usable price, and skip the others.

        Raises SourceError if the source as a whole did not answer.
        """

    def candles(
        self,
        instrument: Instrument,
        interval: Interval,
        since: datetime,
        until: datetime,
        *,
        deadline: float = NO_DEADLINE,
    ) -> list[Candle]:
        """Return the candles that begin from `since` to before `until`, oldest first.

        Raises SourceError.
        """

    def verify(self) -> str:
        """Make the smallest request that shows that the source works; describe the result.

        Raises SourceError, whose message says what to correct.
        """


@dataclass(frozen=True, slots=True)
class ReportedAction:
    """A split, with its `ratio` of new units to old ones, or a dividend of `amount` rupees."""

    ex_date: date
    ratio: Ratio | None = None
    amount: Decimal | None = None


@runtime_checkable
class ActionSource(Protocol):
    """A source that knows splits and dividends as well."""

    def actions(
        self, instrument: Instrument, since: datetime, *, deadline: float = NO_DEADLINE
    ) -> list[ReportedAction]:
        """Return the splits and dividends of an instrument since a time; raise SourceError."""


def make_candle(
    symbol: str,
    time: datetime,
    prices: Sequence[Decimal | None],
    source: Source,
    volume: int | None = None,
) -> Candle | None:
    """Return the candle of open, high, low and close (rupees); None if it is not sound."""
    opening, high, low, close = prices
    if opening is None or high is None or low is None or close is None:
        return None
    begins_at = time.astimezone(UTC)
    candle = Candle(symbol, begins_at, opening, high, low, close, source, volume=volume)
    return candle if candle.is_sound else None
