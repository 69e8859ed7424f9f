"""The quotes of many symbols at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.errors import MarketDataUnavailable, NotFound, PaperTradingError
from app.market_data.quotes import KnownQuote, no_price
from app.services import services


@dataclass(frozen=True, slots=True)
class FoundQuotes:
    """The last known quotes in the order they were asked for, and an error for each other name."""

    quotes: list[KnownQuote]
    errors: dict[str, PaperTradingError]


def find_quotes(names: Iterable[str]) -> FoundQuotes:
    """Return the last known quotes of symbols or aliases; never waits for a source.

    Newer prices of symbols without a current quote are requested for later.
    """
    parts = services()
    errors: dict[str, PaperTradingError] = {}
    symbols: dict[str, str] = {}
    for name in names:
        instrument = parts.instruments.find(name)
        if instrument is None:
            # Without suggestions: a search for each of a hundred names would take too long.
            errors[name] = NotFound(f"There is no symbol {name!r}.", code="unknown_symbol")
        else:
            symbols.setdefault(instrument.symbol, name)
    known = parts.quotes.known(symbols)
    parts.feed.ask([each for each in symbols if each not in known or known[each].stale])
    missing: dict[str, MarketDataUnavailable] = {
        name: no_price(symbol) for symbol, name in symbols.items() if symbol not in known
    }
    return FoundQuotes([*known.values()], errors | missing)
