"""The feed of a process that never polls: a web process beside workers.

It has no prices of its own. The quote board serves those that a worker stores, and the worker is
asked for the candles of charts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from app.clock import Clock
from app.domain.candle import Candle, Interval
from app.domain.quote import Quote
from app.market_data.feed import Feed


class FollowedFeed(Feed):
    remote = True

    def __init__(
        self,
        name: str,
        clock: Clock,
        request: Callable[[Collection[str]], None],
        replayed_to: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        """Stand for the feed `name` of the workers; `request` has one of them fetch prices.

        `replayed_to` returns the recorded time that a replay has reached, None without one.
        """
        self.name = name
        self._clock = clock
        self._request = request
        self._replayed_to = replayed_to

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Return none."""
        return []

    def ask(self, symbols: Collection[str]) -> None:
        """Have a worker fetch prices of `symbols`."""
        if symbols:
            self._request(symbols)

    def latest(self, symbol: str) -> Quote | None:
        """Return None: a worker has the price."""
        return None

    def now(self) -> datetime:
        return self._clock.now()

    def market_time(self) -> datetime:
        """Return the time that a replay has reached, else the present."""
        return self._replayed_to() or self.now()

    def skip_to(self, time: datetime) -> None:
        """Do nothing: there are no ticks."""

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        """Return none."""
        return []

    def history(
        self, symbol: str, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return none: `SharedHistory` asks a worker."""
        return []
