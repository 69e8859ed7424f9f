"""Prices of the simulated market in rupees and whole ticks, and the spread between bid and ask."""

from __future__ import annotations

import math
import zlib
from decimal import Decimal

from app.domain.instrument import Instrument
from app.domain.money import to_paisa
from app.market_data.feeds.simulated_shares import daily_volume

# The spread of a share with TURNOVER rupees a day, as a fraction of the price; it narrows with
# the power of the turnover.
SPREAD, TURNOVER, SPREAD_POWER = 0.0001, 5e9, 0.3


def rupees(log_price: float, tick_size: Decimal) -> Decimal:
    """Return a price in rupees, rounded to the tick size."""
    ticks = max(round(math.exp(log_price) / float(tick_size)), 1)
    return to_paisa(ticks * tick_size)


def to_tick(price: Decimal, instrument: Instrument, rounding: str) -> Decimal:
    """Return a price in whole ticks, at least one; `rounding` is that of decimal."""
    ticks = (price / instrument.tick_size).to_integral_value(rounding)
    return to_paisa(max(ticks, Decimal(1)) * instrument.tick_size)


def bid_and_ask(
    instrument: Instrument, price: Decimal, second: int, volatility: float
) -> tuple[Decimal, Decimal]:
    """Return the best bid and ask of a second. The last trade was at one of them.

    `volatility` is that of the session, as a multiple of the usual one.
    """
    tick_size = instrument.tick_size
    turnover = daily_volume(instrument) * float(price)
    width = SPREAD * (TURNOVER / turnover) ** SPREAD_POWER * volatility
    spread = max(round(width * float(price) / float(tick_size)), 1) * tick_size
    was_sold = zlib.crc32(f"{instrument.symbol}/{second}".encode()) % 2
    if was_sold and price > spread:
        return price, to_paisa(price + spread)
    return max(to_paisa(price - spread), tick_size), price
