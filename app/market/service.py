"""Looking up prices and symbols."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.domain.candle import Candle, Interval
from app.domain.quote import Quote
from app.market_data.guard import Suspicion
from app.market_data.instruments import Instrument
from app.market_data.timetable import MarketStatus
from app.runtime import now, runtime


def latest_quote(name: str) -> Quote:
    """Return the latest quote of a symbol or alias.

    Raises NotFound for an unknown one, MarketDataUnavailable where it has no price now.
    """
    instrument = runtime().instruments.get(name)
    return runtime().quotes.latest(instrument.symbol)


def suspicion_of(symbol: str) -> Suspicion | None:
    """Return the newer price of a symbol that awaits confirmation, None where none does."""
    return runtime().quotes.guard.suspicions.get(symbol)


def price_history(
    name: str, interval: Interval, since: datetime | None, until: datetime | None
) -> tuple[Instrument, Sequence[Candle]]:
    """Return the instrument of a symbol or alias, and its candles, oldest first.

    Raises NotFound for an unknown name, InvalidRequest for a span that cannot be answered,
    MarketDataUnavailable where the feed cannot tell now.
    """
    instrument = runtime().instruments.get(name)
    return instrument, runtime().history.candles(instrument.symbol, interval, since, until)


def search_symbols(text: str, limit: int | None = None) -> list[Instrument]:
    """Return the instruments that `text` finds, best first; all of them for ''."""
    return runtime().instruments.search(text, limit)


def market_status() -> tuple[MarketStatus, bool]:
    """Return what the exchanges do now, and whether trades are refused while they are closed."""
    hours = runtime().hours
    return hours.status(now()), hours.enforced
