"""Simulated prices after splits and bonuses, in whole ticks."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction

from app.domain.candle import Candle
from app.domain.corporate_actions import divide
from app.domain.quote import NO_DETAILS, Quote, QuoteDetails

_PRICES = tuple(field.name for field in fields(QuoteDetails) if field.name != "volume")


def divided_quote(quote: Quote, factor: Fraction, tick_size: Decimal) -> Quote:
    """Return a quote in units of which `factor` make one of before."""
    details = quote.details
    if details is not NO_DETAILS:
        known = {name: getattr(details, name) for name in _PRICES}
        prices = {
            name: None if price is None else _divided(price, factor, tick_size)
            for name, price in known.items()
        }
        details = QuoteDetails(**prices, volume=_multiplied(details.volume, factor))
    return replace(quote, price=_divided(quote.price, factor, tick_size), details=details)


def divided_candle(candle: Candle, factor: Fraction, tick_size: Decimal) -> Candle:
    """Return a candle in units of which `factor` make one of before."""
    return replace(
        candle,
        open=_divided(candle.open, factor, tick_size),
        high=_divided(candle.high, factor, tick_size),
        low=_divided(candle.low, factor, tick_size),
        close=_divided(candle.close, factor, tick_size),
        volume=_multiplied(candle.volume, factor),
    )


def _divided(price: Decimal, factor: Fraction, tick_size: Decimal) -> Decimal:
    ticks = (divide(price, factor) / tick_size).to_integral_value()
    return max(ticks, Decimal(1)) * tick_size


def _multiplied(volume: int | None, factor: Fraction) -> int | None:
    return None if volume is None else int(volume * factor)
