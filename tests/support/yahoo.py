"""Instruments and prices for tests of Yahoo."""

from __future__ import annotations

from decimal import Decimal

from app.domain.quote import Quote
from app.market_data.instruments.registry import load_instruments

PRICES = {"^NSEI": 25_000.5, "TCS.NS": 3_000.1, "M&M.NS": 3_500}
THREE = [load_instruments().get(symbol) for symbol in PRICES]
NIFTY, TCS, MAHINDRA = THREE


def prices(quotes: list[Quote]) -> dict[str, Decimal]:
    """Return the price of each symbol."""
    return {quote.symbol: quote.price for quote in quotes}
