"""The one interface of everything that prices come from."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from app.domain.quote import Quote


class Feed(Protocol):
    name: str

    def poll(self, symbols: Collection[str]) -> list[Quote]:
        """Return the ticks of `symbols` since the last poll, in order.

        The monitor alone calls it, since asking moves the feed on. A symbol without news is
        left out.
        """

    def latest(self, symbol: str) -> Quote | None:
        """Return the price of `symbol` now, or None where there is none. Moves nothing on."""
