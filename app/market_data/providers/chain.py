"""The chain of real sources, best first: what one does not have, the next is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from app.domain.candle import Candle, Interval
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import Quote, Source
from app.market_data.feed import CandlesRefused
from app.market_data.instruments.registry import Instrument
from app.market_data.providers.base import (
    HistoryRefused,
    ReportedAction,
    SourceError,
    SourceRefused,
)
from app.market_data.providers.resilience import ResilientSource
from app.market_data.providers.worker import SourceWorker


class SourceChain:
    def __init__(
        self,
        sources: Sequence[ResilientSource],
        *,
        on_quotes: Callable[[list[Quote]], None],
        on_missing: Callable[[list[Instrument]], None],
        is_urgent: Callable[[str], bool],
    ) -> None:
        """Report each submitted instrument once: its quote, or as missing from every source.

        `is_urgent` returns whether a symbol is fetched before others.
        """
        self._sources = tuple(sources)
        self._on_missing = on_missing
        self._is_urgent = is_urgent
        self._workers = [
            SourceWorker(
                source, on_quotes=on_quotes, on_missing=partial(self.submit, first=rank + 1)
            )
            for rank, source in enumerate(sources)
        ]
        # By source, 0 for the best.
        self.ranks: dict[Source, int] = {each.source: rank for rank, each in enumerate(sources)}

    def submit(self, instruments: Sequence[Instrument], first: int = 0) -> None:
        """Submit each instrument to the first source, from position `first`, that knows it."""
        for worker in self._workers[first:]:
            known = [instrument for instrument in instruments if worker.source.knows(instrument)]
            worker.submit(known, self._is_urgent)
            instruments = [
                instrument for instrument in instruments if not worker.source.knows(instrument)
            ]
        if instruments:
            self._on_missing(list(instruments))

    def candles(
        self, instrument: Instrument, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return the candles of the first source that has any.

        Raises MarketDataUnavailable if no source answers, or CandlesRefused if all refuse.
        """
        answered = failed = False
        for source in self._sources:
            if not source.knows(instrument):
                continue
            try:
                candles = source.candles(instrument, interval, since, until)
            except (HistoryRefused, SourceRefused):
                continue
            except SourceError:
                failed = True
                continue
            if candles:
                return candles
            answered = True
        if answered:
            return []
        symbol = instrument.symbol
        if failed:
            raise MarketDataUnavailable(
                f"No source has the history of {symbol} right now. Try again in a minute."
            )
        raise CandlesRefused(f"No source gives candles of {symbol} to this account today.")

    def actions(self, instrument: Instrument, since: datetime) -> list[ReportedAction]:
        """Return the corporate actions since a time of the first source that reports some.

        Empty if no source answers.
        """
        for source in self._sources:
            try:
                if source.knows(instrument) and (found := source.actions(instrument, since)):
                    return found
            except SourceError:
                continue
        return []

    def describe(self) -> dict[str, Any]:
        """Return the state of each source by name."""
        return {source.name: source.describe() for source in self._sources}
