"""The queue of one source, worked off in the background.

Callers submit instruments and do not wait. One worker fetches them in batches: it reports prices
as quotes, and the rest as missing, so that the next source can try. A slow source delays no other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from app.concurrency import spawn
from app.domain.quote import Quote
from app.logs import logger
from app.market_data.instruments.registry import Instrument
from app.market_data.providers.base import SourceError
from app.market_data.providers.resilience import ResilientSource


class SourceWorker:
    def __init__(
        self,
        source: ResilientSource,
        *,
        on_quotes: Callable[[list[Quote]], None],
        on_missing: Callable[[list[Instrument]], None],
    ) -> None:
        """Report each submitted instrument to exactly one of the two callbacks."""
        self.source = source
        self._on_quotes = on_quotes
        self._on_missing = on_missing
        self._urgent: dict[str, Instrument] = {}
        self._waiting: dict[str, Instrument] = {}
        self._is_working = False
        self._lock = threading.Lock()

    def submit(
        self,
        instruments: Iterable[Instrument],
        is_urgent: Callable[[str], bool] = lambda _symbol: False,
    ) -> None:
        """Queue the instruments, the urgent ones first; skip what is queued already."""
        with self._lock:
            for instrument in instruments:
                if is_urgent(instrument.symbol):
                    self._waiting.pop(instrument.symbol, None)
                    self._urgent[instrument.symbol] = instrument
                elif instrument.symbol not in self._urgent:
                    self._waiting[instrument.symbol] = instrument
            if self._is_working or not (self._urgent or self._waiting):
                return
            self._is_working = True
        # The worker ends when the queue is empty, so it needs no stop.
        spawn(self._work)

    def _work(self) -> None:
        while batch := self._take():
            try:
                quotes = self.source.fetch(batch)
            except SourceError as error:
                logger.debug("%s: %s", self.source.name, error)
                # The rest of the queue would fail as well, a deadline later each.
                self._report([], [*batch, *self._take_all()])
            else:
                self._report(quotes, batch)

    def _report(self, quotes: list[Quote], batch: Sequence[Instrument]) -> None:
        missing = {instrument.symbol: instrument for instrument in batch}
        usable = [quote for quote in quotes if missing.pop(quote.symbol, None)]
        try:
            if usable:
                self._on_quotes(usable)
            if missing:
                self._on_missing(list(missing.values()))
        except Exception:
            # If the worker ended here, nothing of this source would be fetched again.
            logger.exception("%s: could not deliver quotes", self.source.name)

    def _take(self) -> list[Instrument]:
        """Take the next batch; an empty one ends this worker."""
        with self._lock:
            # Never both queues in one batch: an urgent price must not wait for another.
            queue = self._urgent or self._waiting
            symbols = list(queue)[: self.source.batch_size]
            batch = [queue.pop(symbol) for symbol in symbols]
            self._is_working = bool(batch)
            return batch

    def _take_all(self) -> list[Instrument]:
        with self._lock:
            rest = [*self._urgent.values(), *self._waiting.values()]
            self._urgent.clear()
            self._waiting.clear()
            return rest
