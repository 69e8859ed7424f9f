"""The levels of a price alert, and what a quote does to them.

An alert waits above the price, below it, or on both sides, and fires once: at whichever level
comes first. It fires at a price that meets its level, not only at one beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from app.domain.bracket import SettledFrom
from app.domain.candle import Candle
from app.domain.errors import AlreadyCrossed, InvalidRequest
from app.domain.quote import Quote, Source


class AlertStatus(StrEnum):
    ACTIVE = "ACTIVE"
    TRIGGERED = "TRIGGERED"


class Direction(StrEnum):
    """The side on which the price met a level."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Trigger:
    """How an alert fired: which level was met, at which quote."""

    direction: Direction
    quote: Quote
    settled_from: SettledFrom | None = None


@dataclass(frozen=True, slots=True)
class AlertCondition:
    """One or two prices to wait for, in rupees and whole paise, set at a quote."""

    above: Decimal | None
    below: Decimal | None
    source: Source
    timestamp: datetime

    @classmethod
    def set_at(
        cls, quote: Quote, *, above: Decimal | None = None, below: Decimal | None = None
    ) -> AlertCondition:
        """Wait from `quote` on; raise AlreadyCrossed for a level that it meets already.

        Raises InvalidRequest where there is no level at all.
        """
        if above is None and below is None:
            raise InvalidRequest("An alert needs a price to wait for: above, below, or both.")
        levels = cls(above=above, below=below, source=quote.source, timestamp=quote.timestamp)
        crossing = levels.crossed_by(quote)
        if crossing is not None:
            level = levels.level(crossing.direction)
            raise AlreadyCrossed(crossing.direction.value, level, quote.price)
        return levels

    def level(self, direction: Direction) -> Decimal:
        """Return the level on this side, in rupees; there must be one."""
        level = self.above if direction is Direction.ABOVE else self.below
        assert level is not None
        return level

    def crossed_by(self, quote: Quote) -> Trigger | None:
        """Return the crossing that `quote` is, or None where it meets no level."""
        if not quote.counts_for(self.source):
            return None
        if self.above is not None and quote.price >= self.above:
            return Trigger(Direction.ABOVE, quote)
        if self.below is not None and quote.price <= self.below:
            return Trigger(Direction.BELOW, quote)
        return None

    def crossed_in(self, candle: Candle) -> Trigger | None:
        """Return the crossing that something in `candle` was, or None where nothing was one.

        A level that the candle opened beyond was crossed at the open. One that lies inside it
        was met at the level. Where it holds both, nobody can tell which came first: it is the
        one nearer to the open. A candle that began before the alert was set tells nothing of
        what came after it.
        """
        if candle.time < self.timestamp:
            return None
        met = [each for each in (self.above, self.below) if each is not None]
        met = [each for each in met if candle.low <= each <= candle.high]
        met.sort(key=lambda level: abs(level - candle.open))
        for price in (candle.open, *met):
            crossing = self.crossed_by(candle.quote_at(price))
            if crossing is not None:
                return replace(crossing, settled_from=SettledFrom.GAP)
        return None
