"""The levels of a price alert, and what a quote does to them.

An alert waits for a price at or above one level, at or below another, or both, and fires once, at
the first level that is reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from app.domain.bounds import Bounds
from app.domain.candle import Candle
from app.domain.errors import AlreadyCrossed, InvalidRequest
from app.domain.quote import Posting, Quote, Source
from app.domain.triggers import SettledFrom


class AlertStatus(StrEnum):
    """ACTIVE until the alert fires, then TRIGGERED."""

    ACTIVE = "ACTIVE"
    TRIGGERED = "TRIGGERED"


class Direction(StrEnum):
    """The side of the level that was reached."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Trigger:
    """How an alert fired: the side of the level, and the quote that reached it."""

    direction: Direction
    quote: Quote
    settled_from: SettledFrom | None = None


@dataclass(frozen=True, slots=True)
class AlertCondition:
    """One or two levels in rupees and whole paise, and the quote at which they were set."""

    above: Decimal | None
    below: Decimal | None
    source: Source
    timestamp: datetime
    # None for an alert of an earlier version.
    posting: Posting | None = None

    @property
    def levels(self) -> Bounds:
        """The prices that it waits for."""
        return Bounds(self.below, self.above)

    @classmethod
    def set_at(
        cls, quote: Quote, *, above: Decimal | None = None, below: Decimal | None = None
    ) -> AlertCondition:
        """Set levels at `quote`; raise AlreadyCrossed for a level that the quote reaches.

        Raises InvalidRequest if there is no level.
        """
        if above is None and below is None:
            raise InvalidRequest("An alert needs a price to wait for: above, below, or both.")
        condition = cls(above, below, quote.source, quote.timestamp, quote.posting)
        trigger = condition._reached_by(quote)
        if trigger is not None:
            level = condition.level(trigger.direction)
            raise AlreadyCrossed(trigger.direction.value, level, quote.price)
        return condition

    def level(self, direction: Direction) -> Decimal:
        """Return the level on this side, in rupees; it must exist."""
        level = self.above if direction is Direction.ABOVE else self.below
        assert level is not None
        return level

    def crossed_by(self, quote: Quote, settled_from: SettledFrom | None = None) -> Trigger | None:
        """Return the trigger that `quote` is, None if it reaches no level or is an earlier one."""
        if not quote.counts_for(self.source):
            return None
        if quote.precedes(self.source, self.timestamp, self.posting):
            return None
        return self._reached_by(quote, settled_from)

    def _reached_by(self, quote: Quote, settled_from: SettledFrom | None = None) -> Trigger | None:
        if self.above is not None and quote.price >= self.above:
            return Trigger(Direction.ABOVE, quote, settled_from)
        if self.below is not None and quote.price <= self.below:
            return Trigger(Direction.BELOW, quote, settled_from)
        return None

    def crossed_in(self, candle: Candle) -> Trigger | None:
        """Return the trigger that a price in `candle` was, None if none was.

        If the candle opened beyond a level, the trigger is the open; if it reached a level later,
        the level. If it holds both levels, their order is unknown, and the one nearer to the open
        counts. A candle that began before the alert was set is ignored.
        """
        if candle.time < self.timestamp:
            return None
        levels = [level for level in (self.above, self.below) if level is not None]
        reached = [level for level in levels if candle.low <= level <= candle.high]
        reached.sort(key=lambda level: abs(level - candle.open))
        for price in (candle.open, *reached):
            trigger = self.crossed_by(candle.quote_at(price), SettledFrom.GAP)
            if trigger is not None:
                return trigger
        return None
