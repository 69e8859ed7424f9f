"""The value of open trades at the last known quotes, computed on request and never stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.domain.money import ZERO
from app.models import Portfolio
from app.portfolio.holdings import Holding, find_holdings


@dataclass(frozen=True, slots=True)
class Performance:
    """A portfolio valued at the last known quotes.

    `active_pnl` leaves out `unpriced` symbols. `equity` is the rupees left after exiting every
    open trade at these quotes. `price_time` is that of the oldest quote.
    """

    portfolio: Portfolio
    active_pnl: Decimal
    equity: Decimal
    active_trades: int
    price_time: datetime | None
    stale: list[str]
    unpriced: list[str]

    @property
    def margin_utilization_pct(self) -> Decimal:
        """The blocked percentage of the capital: at least 100 if the equity is gone."""
        blocked = self.portfolio.utilized_margin
        if not blocked:
            return ZERO
        capital = self.portfolio.available_margin + blocked
        share = 100 * blocked / capital if capital > 0 else ZERO
        return share if capital > 0 and self.equity > 0 else max(share, Decimal(100))


def value(portfolio: Portfolio) -> Performance:
    """Value a portfolio at the last known quotes; never waits."""
    return value_holdings(portfolio, find_holdings(portfolio))


def value_holdings(portfolio: Portfolio, held: Mapping[str, Holding]) -> Performance:
    """Value a portfolio by what it holds."""
    known = {symbol: each.known for symbol, each in held.items() if each.known}
    pnls = [held[symbol].sums.pnl_at(each.quote.price) for symbol, each in known.items()]
    times = [each.quote.timestamp for each in known.values()]
    active_pnl = sum(pnls, ZERO)
    return Performance(
        portfolio=portfolio,
        active_pnl=active_pnl,
        equity=portfolio.available_margin + portfolio.utilized_margin + active_pnl,
        active_trades=sum([each.sums.trades for each in held.values()]),
        price_time=min(times, default=None),
        stale=[symbol for symbol, each in known.items() if each.stale],
        unpriced=[symbol for symbol in held if symbol not in known],
    )
