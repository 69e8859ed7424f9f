"""A candle: what a market did in one span of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.domain.quote import Quote, Source


@dataclass(frozen=True, slots=True)
class Candle:
    """The first, highest, lowest and last price (rupees) of a span; `time` is the first's."""

    symbol: str
    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    source: Source

    @classmethod
    def of(cls, ticks: Sequence[Quote]) -> Candle:
        """Return the candle of one symbol's ticks, in their order."""
        prices = [tick.price for tick in ticks]
        return cls(
            symbol=ticks[0].symbol,
            time=ticks[0].timestamp,
            open=prices[0],
            high=max(prices),
            low=min(prices),
            close=prices[-1],
            source=ticks[0].source,
        )

    def quote_at(self, price: Decimal) -> Quote:
        """Return a price that the candle holds, as a quote of its time."""
        return Quote(self.symbol, price, self.source, self.time)
