"""Looking up prices and symbols."""

from __future__ import annotations

from app.domain.quote import Quote
from app.market_data.guard import Suspicion
from app.market_data.instruments import Instrument
from app.runtime import runtime


def latest_quote(name: str) -> Quote:
    """Return the latest quote of a symbol or alias.

    Raises NotFound for an unknown one, MarketDataUnavailable where it has no price now.
    """
    instrument = runtime().instruments.get(name)
    return runtime().quotes.latest(instrument.symbol)


def suspicion_of(symbol: str) -> Suspicion | None:
    """Return the newer price of a symbol that awaits confirmation, None where none does."""
    return runtime().quotes.guard.suspicions.get(symbol)


def search_symbols(text: str) -> list[Instrument]:
    """Return the instruments that `text` finds, all of them for ''."""
    return runtime().instruments.search(text)
