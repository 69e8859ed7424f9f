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
    name: str
    # Whether prices and candles come over the network, and take their time.
    remote: bool

    def prefer(self, symbols: Collection[str]) -> None:
        """Fetch these symbols before all others from now on."""

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Return the ticks of `symbols` since the last poll, in order.

        Only the monitor calls it, because a poll advances the feed.
        """

    def ask(self, symbols: Collection[str]) -> None:
        """Request prices of `symbols`, which arrive as ticks. Never waits."""

    def collect(self) -> list[Quote]:
        """Return the ticks that arrived since the last poll, in order."""

    def collect_gaps(self) -> list[Gap]:
        """Return the gaps that ended since the last call."""

    def describe(self) -> dict[str, Any]:
        """Return the state of the feed's sources, for an operator."""

    def now(self) -> datetime:
        """Return the feed's time: a poll now would return ticks up to it."""

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

    def symbols(self) -> Collection[str]:
        """Return the symbols of a feed that has only some, otherwise none."""

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

    def close(self) -> None:
        """Stop background work."""


class LocalFeed:
    """Base of the feeds whose prices are made in this process, by a poll."""

    remote = False

    def latest(self, symbol: str) -> Quote | None:
        """Return the price of `symbol` now, or None."""
        raise NotImplementedError

    def latest_of(self, symbols: Collection[str]) -> dict[str, Quote]:
        """Return the prices that `symbols` have now."""
        return {symbol: quote for symbol in symbols if (quote := self.latest(symbol))}

    def prefer(self, symbols: Collection[str]) -> None:
        """Do nothing: a poll returns all symbols at once."""

    def symbols(self) -> Collection[str]:
        """Return none: the feed has all symbols."""
        return ()

    def listen(self, wake: Callable[[], None]) -> None:
        """Do nothing: ticks are made by the poll."""

    def ask(self, symbols: Collection[str]) -> None:
        """Do nothing: `latest` answers at once."""

    def collect(self) -> list[Quote]:
        """Return none: ticks are made by the poll."""
        return []

    def collect_gaps(self) -> list[Gap]:
        """Return none: the next poll returns what the last one missed."""
        return []

    def describe(self) -> dict[str, Any]:
        """Return nothing: there are no sources."""
        return {}

    def close(self) -> None:
        """Do nothing: there is no background work."""
