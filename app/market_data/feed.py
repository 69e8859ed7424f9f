"""The one interface of everything that prices come from."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from app.domain.candle import Candle
from app.domain.quote import Quote


class Feed(Protocol):
    name: str

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Return the ticks of `symbols` since the last poll, in order.

        The monitor alone calls it, since asking moves the feed on. A symbol without news is
        left out.
        """

    def now(self) -> datetime:
        """Return the feed's own time: up to when a poll at this moment would hand out ticks."""

    def skip_to(self, time: datetime) -> None:
        """Hand out no tick up to `time`, the feed's own: it was settled by candles."""

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        """Return what `symbol` did after `since` and up to `until`, in order.

        Both are the feed's own time. Empty where the feed does not know.
        """

    def latest(self, symbol: str) -> Quote | None:
        """Return the price of `symbol` now, or None where there is none. Moves nothing on."""
