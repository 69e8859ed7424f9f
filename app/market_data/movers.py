"""The movers among the shares that this server watches, from the quotes it has."""

from __future__ import annotations

import threading

from app.clock import Clock
from app.domain.movers import Movers, find_movers, of_last_day
from app.market_data.instruments.registry import Instruments
from app.market_data.polled_symbols import PolledSymbols
from app.market_data.quotes import QuoteBoard

MAX_MOVERS = 50
# Maximum symbols compared: ranking that many takes ten milliseconds.
MAX_COMPARED = 1_000
# Movers are kept for as many times the time that they took, so they take 5 % of it at most.
REST = 20


class MoverBoard:
    """The movers, found again when they are asked for and a poll may have changed them."""

    def __init__(
        self,
        quotes: QuoteBoard,
        polled_symbols: PolledSymbols,
        instruments: Instruments,
        clock: Clock,
        *,
        interval_seconds: float,
    ) -> None:
        self._quotes = quotes
        self._polled_symbols = polled_symbols
        self._instruments = instruments
        self._clock = clock
        self._interval = interval_seconds
        self._movers: Movers | None = None
        self._due_at = 0.0
        self._lock = threading.Lock()

    def latest(self) -> Movers:
        """Return MAX_MOVERS of each kind at most. Waits for no source.

        Raises PyMongoError if the quotes of other processes cannot be read.
        """
        # Concurrent requests wait for the same movers.
        with self._lock:
            began_at = self._clock.monotonic()
            if self._movers is None or began_at >= self._due_at:
                self._movers = self._find()
                now = self._clock.monotonic()
                self._due_at = now + max(self._interval, REST * (now - began_at))
            return self._movers

    def _find(self) -> Movers:
        shares = [each for each in self._polled_symbols.watched if not self._is_index(each)]
        known = self._quotes.known(shares[:MAX_COMPARED]).values()
        return find_movers(of_last_day(seen.quote for seen in known), MAX_MOVERS)

    def _is_index(self, symbol: str) -> bool:
        instrument = self._instruments.by_symbol(symbol)
        return instrument is None or instrument.is_index
