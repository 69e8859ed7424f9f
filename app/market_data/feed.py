"""The interface of all feeds: what prices come from."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.domain.candle import Candle, Interval
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import Quote


class CandlesRefused(MarketDataUnavailable):
    """No source gives candles to this account today, so a retry is useless."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A period, in the feed's time, whose prices of a symbol no poll returned."""

    symbol: str
    since: datetime
    until: datetime


class Feed(Protocol):
    """A feed. The defaults are those of a feed whose prices are made in this process, by a poll."""

    name: str
    # Whether prices and candles come over the network, and take their time.
    remote: bool = False

    def prefer(self, symbols: Collection[str]) -> None:
        """Fetch these symbols before all others from now on."""
        return

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Return the ticks of `symbols` since the last poll, in order.

        Only the monitor calls it, because a poll advances the feed.
        """

    def ask(self, symbols: Collection[str]) -> None:
        """Request prices of `symbols`, which arrive as ticks. Never waits."""
        return

    def collect(self) -> list[Quote]:
        """Return the ticks that arrived since the last poll, in order."""
        return []

    def collect_gaps(self) -> list[Gap]:
        """Return the gaps that ended since the last call."""
        return []

    def describe(self) -> dict[str, Any]:
        """Return the state of the feed's sources, for an operator."""
        return {}

    def now(self) -> datetime:
        """Return the feed's time: a poll now would return ticks up to it."""

    def market_time(self) -> datetime:
        """Return the time at which market hours are checked: that of the prices in use."""
        return self.now()

    def skip_to(self, time: datetime) -> None:
        """Return no more ticks up to `time`, in the feed's time: candles replaced them."""

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        """Return the candles of a minute after `since` and up to `until`, in order.

        Both are in the feed's time. Empty if the feed has none; raises MarketDataUnavailable if
        it may have some later.
        """

    def latest(self, symbol: str) -> Quote | None:
        """Return the price of `symbol` now, or None. Does not advance the feed."""

    def latest_of(self, symbols: Collection[str]) -> dict[str, Quote]:
        """Return the prices that `symbols` have now; wait at most once for all."""
        return {symbol: quote for symbol in symbols if (quote := self.latest(symbol))}

    def symbols(self) -> Collection[str]:
        """Return the symbols of a feed that has only some, otherwise none."""
        return ()

    def history(
        self, symbol: str, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return the candles that began from `since` to before `until`, oldest first.

        Raises MarketDataUnavailable if the feed cannot answer now.
        """

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake`, from any thread, whenever ticks arrive.

        A feed whose ticks are made by the poll itself never calls it.
        """
        return

    def close(self) -> None:
        """Stop background work."""
        return
