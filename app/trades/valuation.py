"""What open trades are worth at the latest quotes: computed when asked, never stored."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.domain.errors import MarketDataUnavailable
from app.domain.money import ZERO
from app.domain.quote import Quote
from app.models import Portfolio
from app.portfolio.service import get_portfolio
from app.runtime import runtime


@dataclass(frozen=True, slots=True)
class Performance:
    """A portfolio valued at the latest quotes; `active_pnl` leaves out `unpriced` symbols."""

    portfolio: Portfolio
    active_pnl: Decimal
    active_trades: int
    unpriced: list[str]


def last_quote(symbol: str) -> Quote | None:
    """Return the latest quote of a symbol, None where it has no price now."""
    try:
        return runtime().quotes.latest(symbol)
    except MarketDataUnavailable:
        return None


def value_portfolio(user_id: str) -> Performance:
    """Value the user's portfolio at the latest quotes; raise NotFound where there is none."""
    portfolio = get_portfolio(user_id)
    held = {symbol: each for symbol, each in portfolio.exposure.items() if each.trades}
    quotes = {symbol: last_quote(symbol) for symbol in held}
    return Performance(
        portfolio=portfolio,
        active_pnl=sum(
            (held[symbol].pnl_at(quote.price) for symbol, quote in quotes.items() if quote), ZERO
        ),
        active_trades=sum(each.trades for each in held.values()),
        unpriced=[symbol for symbol, quote in quotes.items() if quote is None],
    )
