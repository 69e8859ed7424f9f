"""The one interface of everything that prices come from."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.domain.candle import Candle, Interval
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import Quote


class CandlesRefused(MarketDataUnavailable):
    """No source gives candles to this account; asking again today does not help."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A span of a feed's own time in which nobody saw a symbol's prices."""

    symbol: str
    since: datetime
    until: datetime


class Feed(Protocol):
    name: str
    # Whether its answers come from afar: asking for candles then takes its time.
    remote: bool

    def prefer(self, symbols: Collection[str]) -> None:
        """Ask for these before all others, from now on, where a poll takes time."""

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Return the ticks of `symbols` since the last poll, in order.

        The monitor alone calls it, since asking moves the feed on. A symbol without news is
        left out.
        """

    def ask(self, symbols: Collection[str]) -> None:
        """Have the prices of `symbols` come in soon, as ticks; wait for nothing."""

    def collect(self) -> list[Quote]:
        """Return the ticks that came in by themselves since the last poll, in order."""

    def collect_gaps(self) -> list[Gap]:
        """Return the spans that ended since the last time and were not seen by any poll."""

    def describe(self) -> dict[str, Any]:
        """Return the condition of what the feed depends on, for an operator."""

    def now(self) -> datetime:
        """Return the feed's own time: up to when a poll at this moment would hand out ticks."""

    def skip_to(self, time: datetime) -> None:
        """Hand out no tick up to `time`, the feed's own: it was settled by candles."""

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        """Return what `symbol` did after `since` and up to `until`, in order.

        Both are the feed's own time. Empty where the feed cannot know; raises
        MarketDataUnavailable where it may know later.
        """

    def latest(self, symbol: str) -> Quote | None:
        """Return the price of `symbol` now, or None where there is none. Moves nothing on."""

    def latest_of(self, symbols: Collection[str]) -> dict[str, Quote]:
        """Return the prices now of those symbols that have one; wait once for all of them."""

    def symbols(self) -> Collection[str]:
        """Return the symbols it has, if it has only some."""

    def last_known(self, symbol: str) -> Quote | None:
        """Return the last price known of `symbol`, however old. Never waits for a source."""

    def history(
        self, symbol: str, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        """Return the candles that began from `since` to before `until`, oldest first.

        Raises MarketDataUnavailable where the feed cannot tell now.
        """

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, by any thread, whenever ticks came in that a poll would return.

        A feed whose ticks appear with the poll itself never calls it.
        """

    def close(self) -> None:
        """End what runs by itself."""


class LocalFeed:
    """What a feed has in common with others whose prices are made in this process, by a poll."""

    remote = False

    def latest(self, symbol: str) -> Quote | None:
        """Return the price of `symbol` now, or None where there is none."""
        raise NotImplementedError

    def latest_of(self, symbols: Collection[str]) -> dict[str, Quote]:
        """Return the prices now of those symbols that have one."""
        return {symbol: quote for symbol in symbols if (quote := self.latest(symbol))}

    def prefer(self, symbols: Collection[str]) -> None:
        """Prefer none: a poll has all of them at once."""

    def symbols(self) -> Collection[str]:
        """Return none: it has all of them."""
        return ()

    def last_known(self, symbol: str) -> Quote | None:
        """Return the price now: it takes no time."""
        return self.latest(symbol)

    def listen(self, wake: Callable[[], None]) -> None:
        """Call nobody: a poll itself makes the ticks."""

    def ask(self, symbols: Collection[str]) -> None:
        """Do nothing: `latest` answers at once."""

    def collect(self) -> list[Quote]:
        """Return none: a poll itself makes the ticks."""
        return []

    def collect_gaps(self) -> list[Gap]:
        """Return none: what a poll missed, the next one hands out."""
        return []

    def describe(self) -> dict[str, Any]:
        """Return nothing: it depends on nothing."""
        return {}

    def close(self) -> None:
        """End nothing."""
