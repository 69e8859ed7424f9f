"""A lane: one upstream's queue, worked off in the background.

Whoever wants prices puts symbols in and goes on. One worker asks for them in batches; what the
source prices is handed on as quotes, what it does not price as missing, so that the next lane
can try. A lane that is stuck holds up nobody else's.
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
        upstream: ResilientSource,
        *,
        on_quotes: Callable[[list[Quote]], None],
        on_missing: Callable[[list[Instrument]], None],
    ) -> None:
        """Tell each instrument put in to exactly one of the two, some time later."""
        self.upstream = upstream
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
        """Have these priced, the urgent ones first; none that is waiting is asked for twice."""
        with self._lock:
            for each in instruments:
                if is_urgent(each.symbol):
                    self._waiting.pop(each.symbol, None)
                    self._urgent[each.symbol] = each
                elif each.symbol not in self._urgent:
                    self._waiting[each.symbol] = each
            if self._is_working or not (self._urgent or self._waiting):
                return
            self._is_working = True
        # No worker waits for work: it ends when there is none, and needs nobody to stop it.
        spawn(self._work)

    def _work(self) -> None:
        while batch := self._take():
            try:
                quotes = self.upstream.fetch(batch)
            except SourceError as error:
                logger.debug("%s: %s", self.upstream.name, error)
                # What else is waiting would meet the same trouble, a deadline later each.
                self._hand_on([], [*batch, *self._take_all()])
            else:
                self._hand_on(quotes, batch)

    def _hand_on(self, quotes: list[Quote], asked: Sequence[Instrument]) -> None:
        wanted = {each.symbol: each for each in asked}
        usable = [each for each in quotes if wanted.pop(each.symbol, None)]
        try:
            if usable:
                self._on_quotes(usable)
            if wanted:
                self._on_missing(list(wanted.values()))
        except Exception:
            # The worker must live, or nothing of this source would ever be asked for again.
            logger.exception("%s: quotes could not be handed on", self.upstream.name)

    def _take(self) -> list[Instrument]:
        """Take the next batch; with none left, this worker is done."""
        with self._lock:
            # Not both in one: an urgent price does not wait for one that is not.
            queue = self._urgent or self._waiting
            symbols = list(queue)[: self.upstream.batch_size]
            batch = [queue.pop(symbol) for symbol in symbols]
            self._is_working = bool(batch)
            return batch

    def _take_all(self) -> list[Instrument]:
        with self._lock:
            rest = [*self._urgent.values(), *self._waiting.values()]
            self._urgent.clear()
            self._waiting.clear()
            return rest
