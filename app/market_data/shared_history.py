"""The candles of charts, from the process that polls the symbol."""

from __future__ import annotations

from datetime import datetime

from app.domain.candle import Candle, Interval
from app.market_data.candle_cache import CandleHistory
from app.market_data.leader import Leader
from app.market_data.quotes import QuoteBoard


class SharedHistory:
    def __init__(self, own: CandleHistory, quotes: QuoteBoard, leader: Leader | None) -> None:
        """Return candles of `own`, or of the `leader` for symbols that this process does not poll.

        Without a leader that can be asked, all are its own.
        """
        self._own = own
        self._quotes = quotes
        self._leader = leader

    def candles(
        self, symbol: str, interval: Interval, since: datetime | None, until: datetime | None
    ) -> tuple[Candle, ...]:
        """Return candles, oldest first; the last one may still be forming.

        Raises InvalidRequest (see choose_window), or MarketDataUnavailable.
        """
        if self._leader and not self._quotes.is_polled(symbol):
            return self._leader.ask_history(symbol, interval, since, until)
        return self._own.candles(symbol, interval, since, until)
