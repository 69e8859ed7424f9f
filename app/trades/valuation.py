"""What open trades are worth at the last known quotes: computed when asked, never stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.domain.bracket import TradeStatus
from app.domain.money import ZERO
from app.market_data.quotes import KnownQuote
from app.models import Portfolio, Trade
from app.portfolio.service import get_portfolio
from app.runtime import runtime


@dataclass(frozen=True, slots=True)
class Performance:
    """A portfolio valued at the last known quotes.

    `active_pnl` leaves out `unpriced` symbols. `price_time` is that of the oldest quote.
    """

    portfolio: Portfolio
    active_pnl: Decimal
    active_trades: int
    price_time: datetime | None
    stale: list[str]
    unpriced: list[str]


def known_quotes(trades: Iterable[Trade]) -> Mapping[str, KnownQuote]:
    """Return the last known quotes of the symbols of active trades, without waiting for any."""
    symbols = {each.symbol for each in trades if each.status is TradeStatus.ACTIVE}
    return runtime().quotes.known_quotes(symbols)


def value_portfolio(user_id: str) -> Performance:
    """Value the user's portfolio at the last known quotes; raise NotFound if there is none."""
    portfolio = get_portfolio(user_id)
    held = {symbol: each for symbol, each in portfolio.exposure.items() if each.trades}
    known = runtime().quotes.known_quotes(held)
    return Performance(
        portfolio=portfolio,
        active_pnl=sum(
            (held[symbol].pnl_at(each.quote.price) for symbol, each in known.items()), ZERO
        ),
        active_trades=sum(each.trades for each in held.values()),
        price_time=min((each.quote.timestamp for each in known.values()), default=None),
        stale=[symbol for symbol, each in known.items() if each.stale],
        unpriced=[symbol for symbol in held if symbol not in known],
    )
