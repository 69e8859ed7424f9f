"""A live feed with two scripted sources."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.domain.quote import Quote, Source
from app.market_data.feeds.live import LiveFeed
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.instruments.registry import load_instruments
from app.market_data.providers.base import SourceUnavailable
from app.market_data.providers.resilience import ResilientSource
from tests.support.live import eventually
from tests.support.market import ManualClock
from tests.support.sources import ScriptedSource

NIFTY, SENSEX, RELIANCE = "^NSEI", "^BSESN", "RELIANCE.NS"
INTERVAL = 10.0


class Market:
    """A live feed with two scripted sources, polled one round at a time."""

    def __init__(
        self,
        clock: ManualClock,
        *,
        simulated: bool = True,
        fetch_seconds: float = 0.3,
        batch_size: int = 50,
        **options: Any,
    ) -> None:
        self.clock = clock
        self.angel = ScriptedSource(clock, Source.ANGEL_ONE, batch_size=batch_size)
        self.yahoo = ScriptedSource(clock, Source.YAHOO, batch_size=batch_size)
        self.angel.prices.update({NIFTY: Decimal(25_000), RELIANCE: Decimal(1_400)})
        self.yahoo.prices.update({NIFTY: Decimal(24_990), RELIANCE: Decimal(1_399)})
        instruments = load_instruments()
        self.feed = LiveFeed(
            [
                ResilientSource(
                    each, clock, probe_seconds=30, fetch_seconds=fetch_seconds, candles_seconds=0.3
                )
                for each in (self.angel, self.yahoo)
            ],
            instruments,
            clock,
            interval_seconds=INTERVAL,
            fallback=SimulatedFeed(instruments, clock, seed="x") if simulated else None,
            **options,
        )

    def round(self, *symbols: str) -> dict[str, Quote]:
        """Poll, wait for the ticks of all symbols, and return them by symbol."""
        ticks = {each.symbol: each for each in self.feed.poll(symbols)}

        def all_in() -> bool:
            ticks.update({each.symbol: each for each in self.feed.collect()})
            return ticks.keys() >= set(symbols)

        eventually(all_in)
        return ticks

    def fails(self, error: Exception | None = None) -> None:
        self.angel.failing = self.yahoo.failing = error or SourceUnavailable("down")
