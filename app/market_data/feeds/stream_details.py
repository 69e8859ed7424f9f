"""What a stream that sends only prices lacks: polled of each of its symbols now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf

from app.clock import Clock
from app.domain.quote import Quote
from app.market_data.instruments.registry import Instrument
from app.market_data.providers.resilience import ResilientSource
from app.market_data.providers.worker import SourceWorker

# How often a symbol is polled.
DETAILS_SECONDS = 60.0


class StreamDetails:
    def __init__(
        self, source: ResilientSource, clock: Clock, on_quotes: Callable[[list[Quote]], None]
    ) -> None:
        self._clock = clock
        # A failure is of no consequence: the stream has the price.
        self._worker = SourceWorker(source, on_quotes=on_quotes, on_missing=lambda _: None)
        self._asked_at: dict[str, float] = {}

    def ask(self, streamed: Iterable[Instrument]) -> None:
        """Request quotes of those that were not polled lately. Never waits."""
        now = self._clock.monotonic()
        due = [
            instrument
            for instrument in streamed
            if now - self._asked_at.get(instrument.symbol, -inf) >= DETAILS_SECONDS
        ]
        self._asked_at.update({instrument.symbol: now for instrument in due})
        self._worker.submit(due)
