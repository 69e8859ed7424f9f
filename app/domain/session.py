"""Sessions of the exchanges: each is on one day in India."""

from __future__ import annotations

from datetime import date

from app.domain.candle import IST
from app.domain.quote import Quote


def session_day(quote: Quote) -> date:
    """Return the day of the session that a quote is of."""
    return quote.timestamp.astimezone(IST).date()
