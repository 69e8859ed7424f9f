"""Trailing stops: stops that follow the best price since they were set, and never loosen.

The best price of a BUY is the highest, that of a SELL the lowest. The price at which the stop was
set counts as the first. Prices are signed inside this module: times the sign of the side, so that
the best price is the greatest and a stop lies below it, on either side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum

from app.domain.candle import Candle
from app.domain.quote import Posting, Quote, Source
from app.domain.side import TradeType


class Unit(StrEnum):
    """What the distance of a trailing stop is measured in: rupees, or percent of the best price."""

    RUPEES = "rupees"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True)
class TrailingTerms:
    """The distance of a trailing stop from the best price, which counts in whole steps.

    `step` and `tick_size` are rupees.
    """

    unit: Unit
    distance: Decimal
    step: Decimal
    tick_size: Decimal

    def level(self, trade_type: TradeType, start: Decimal, best: Decimal) -> Decimal:
        """Return the price at which it fires, rounded to the tick away from the market."""
        sign = trade_type.sign
        followed = self.followed(trade_type, start, best) * sign
        level = followed - _rupees(self.unit, self.distance, followed)
        ticks = (level / self.tick_size).to_integral_value(ROUND_FLOOR)
        return ticks * self.tick_size * sign

    def followed(self, trade_type: TradeType, start: Decimal, best: Decimal | None) -> Decimal:
        """Return the price that it has followed the best price to, in whole steps."""
        if best is None:
            return start
        steps = (best - start) * trade_type.sign // self.step
        return start + steps * self.step * trade_type.sign


@dataclass(frozen=True, slots=True)
class Start:
    """The price that a trailing stop was set at, and the origin of its quote."""

    price: Decimal
    source: Source
    timestamp: datetime
    # None for the price of a candle.
    posting: Posting | None


@dataclass(frozen=True, slots=True)
class TrailingStop:
    """A trailing stop that was set. A best price of None is that of its start."""

    trade_type: TradeType
    terms: TrailingTerms
    start: Start

    def level(self, best: Quote | None) -> Decimal:
        """Return the price at which it fires, after a best price."""
        price = best.price if best else self.start.price
        return self.terms.level(self.trade_type, self.start.price, price)

    def counts(self, quote: Quote) -> bool:
        """Return whether it follows `quote`: a price after its start, and never mock after real."""
        start = self.start
        return quote.counts_for(start.source) and not quote.precedes(
            start.source, start.timestamp, start.posting
        )

    def after(self, best: Quote | None, quote: Quote) -> Quote | None:
        """Return the best price after a quote: the last quote at that price."""
        than = best.price if best else self.start.price
        is_equal = best is not None and quote.price == best.price
        if (is_equal or is_better(self.trade_type, quote.price, than)) and self.counts(quote):
            return quote
        return best

    def after_candle(
        self, best: Quote | None, candle: Candle, settled_to: datetime | None = None
    ) -> Quote | None:
        """Return the best price after a candle.

        One that began before the start does not count, nor one that holds the start: its prices may
        precede it. Of one that began before `settled_to`, only a close after that counts.
        """
        start = self.start
        if candle.time < start.timestamp or (
            candle.time == start.timestamp and start.posting is None
        ):
            return best
        for quote in prices_to_follow(self.trade_type, candle, settled_to):
            best = self.after(best, quote)
        return best


@dataclass(frozen=True, slots=True)
class Swing:
    """How far the prices of a span went against a side: what they may have fired.

    `worst` is the worst price. `rupees` and `percent` are the largest fall from a price of the
    span to a later one, for a SELL the largest rise.
    """

    worst: Decimal
    rupees: Decimal
    percent: Decimal

    @classmethod
    def of_ticks(cls, trade_type: TradeType, ticks: Iterable[Quote]) -> Swing:
        """Return the swing of ticks, at least one."""
        return cls._of(trade_type, ((tick.price, tick.price) for tick in ticks))

    @classmethod
    def of_candles(cls, trade_type: TradeType, candles: Iterable[Candle]) -> Swing:
        """Return the widest swing that candles, at least one, may hold."""
        buying = trade_type is TradeType.BUY
        return cls._of(
            trade_type,
            ((each.high, each.low) if buying else (each.low, each.high) for each in candles),
        )

    @classmethod
    def _of(cls, trade_type: TradeType, pairs: Iterable[tuple[Decimal, Decimal]]) -> Swing:
        sign = trade_type.sign
        best: Decimal | None = None
        worst: Decimal | None = None
        rupees = percent = Decimal(0)
        for high, low in ((high * sign, low * sign) for high, low in pairs):
            best = high if best is None else max(best, high)
            worst = low if worst is None else min(worst, low)
            rupees = max(rupees, best - low)
            percent = max(percent, percent_between(best, low))
        assert worst is not None, "at least one price"
        return cls(worst * sign, rupees, percent)


def prices_to_follow(
    trade_type: TradeType, candle: Candle, settled_to: datetime | None
) -> list[Quote]:
    """Return the prices of a candle that may be the best after `settled_to`."""
    if settled_to is None or candle.time >= settled_to:
        buying = trade_type is TradeType.BUY
        return [candle.quote_at(candle.high if buying else candle.low)]
    return [candle.closing] if candle.closing.timestamp > settled_to else []


def percent_between(best: Decimal, price: Decimal) -> Decimal:
    """Return how far a signed price is below a signed best price, in percent of that."""
    return (best - price) / abs(best) * 100


def is_better(trade_type: TradeType, price: Decimal, than: Decimal) -> bool:
    """Return whether a price is better for a side than another."""
    return price > than if trade_type is TradeType.BUY else price < than


def highest_level(unit: Unit, distance: Decimal, best: Decimal) -> Decimal:
    """Return the signed level of a stop at a signed best price, before it is rounded.

    No such stop is tighter, whatever its step and its tick.
    """
    return best - _rupees(unit, distance, best)


def _rupees(unit: Unit, distance: Decimal, best: Decimal) -> Decimal:
    return distance if unit is Unit.RUPEES else abs(best) * distance / 100
