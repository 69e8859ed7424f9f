"""Simulated prices after splits, bonuses and dividends, in whole ticks."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from decimal import Decimal
from fractions import Fraction

from app.domain.candle import Candle
from app.domain.corporate_actions import divide
from app.domain.quote import NO_DETAILS, Quote, QuoteDetails

_PRICES = tuple(field.name for field in fields(QuoteDetails) if field.name != "volume")
# Far finer than a tick. Without it the products of dividends grow by twenty digits each.
_MAX_DENOMINATOR = 10**12


@dataclass(frozen=True, slots=True)
class Division:
    """What prices are divided by, and volumes multiplied by."""

    prices: Fraction = Fraction(1)
    units: Fraction = Fraction(1)

    def then(self, later: Division) -> Division:
        """Return both as one."""
        prices = (self.prices * later.prices).limit_denominator(_MAX_DENOMINATOR)
        return Division(prices, self.units * later.units)


UNDIVIDED = Division()


def division_of_dividend(amount: Decimal, close: Decimal, tick_size: Decimal) -> Division:
    """Return the division by which a price falls from `close` by a dividend, to a tick at least."""
    return Division(Fraction(close) / Fraction(max(close - amount, min(close, tick_size))))


def divided_quote(quote: Quote, division: Division, tick_size: Decimal) -> Quote:
    """Return a quote after what has divided its prices."""
    details = quote.details
    if details is not NO_DETAILS:
        known = {name: getattr(details, name) for name in _PRICES}
        prices = {
            name: None if price is None else divided_price(price, division, tick_size)
            for name, price in known.items()
        }
        details = QuoteDetails(**prices, volume=_multiplied(details.volume, division))
    return replace(quote, price=divided_price(quote.price, division, tick_size), details=details)


def divided_candle(candle: Candle, division: Division, tick_size: Decimal) -> Candle:
    """Return a candle after what has divided its prices."""
    return replace(
        candle,
        open=divided_price(candle.open, division, tick_size),
        high=divided_price(candle.high, division, tick_size),
        low=divided_price(candle.low, division, tick_size),
        close=divided_price(candle.close, division, tick_size),
        volume=_multiplied(candle.volume, division),
    )


def divided_price(price: Decimal, division: Division, tick_size: Decimal) -> Decimal:
    """Return a price after what has divided it, a tick at least."""
    ticks = (divide(price, division.prices) / tick_size).to_integral_value()
    return max(ticks, Decimal(1)) * tick_size


def _multiplied(volume: int | None, division: Division) -> int | None:
    return None if volume is None else int(volume * division.units)
