"""The one interface of everything real that prices come from, and how it fails.

SourceError
├── SourceUnavailable   may succeed later: a time-out, a rate limit, a server in trouble
│   └── HistoryRefused  has quotes, and no candles for this account: not asked again that day
└── SourceRefused       will not succeed until someone acts: credentials that are wrong

Their messages are for a log: they name what happened and hold no secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from app.domain.candle import Candle, Interval
from app.domain.quote import Quote, Source
from app.market_data.instruments.registry import Instrument


class SourceError(Exception):
    """A source has no answer. See the tree above."""


class SourceUnavailable(SourceError):
    """The same question may be answered later; `retry_after` seconds, where the source says so."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SourceRefused(SourceError):
    """The source knows us and says no. Asking again would only lock the account."""


class HistoryRefused(SourceUnavailable):
    """The source gives this account no candles. Its quotes are another matter."""


class PriceSource(Protocol):
    """One upstream. Its methods block, may be called by several threads at once, and end in time.

    Retries, circuit breaker and fallback are the caller's (see `upstream.py`, `live.py`).
    """

    source: Source
    # Instruments that one `fetch` may ask for.
    batch_size: int

    def knows(self, instrument: Instrument) -> bool:
        """Tell whether this source could price the instrument at all."""

    def fetch(self, instruments: Sequence[Instrument]) -> list[Quote]:
        """Return a quote for each instrument that has a usable price; leave out the others.

        Raises SourceError where the source as a whole did not answer.
        """

    def candles(
        self, instrument: Instrument, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return the candles that began from `since` to before `until`, oldest first.

        Raises SourceError.
        """

    def verify(self) -> str:
        """Ask for as little as shows that it works; return what was found, in words.

        Raises SourceError, whose message says what to do.
        """
