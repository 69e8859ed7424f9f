"""Positions: what a portfolio holds, net by symbol, at the last known quotes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.domain.position import Position
from app.market_data.quotes import KnownQuote
from app.models import Portfolio
from app.portfolio.valuation import value
from app.services import services


@dataclass(frozen=True, slots=True)
class ValuedPosition:
    """The sums of a symbol's open trades, and its last known quote, if it ever had one.

    `equity` is that of the portfolio, in rupees.
    """

    symbol: str
    sums: Position
    known: KnownQuote | None
    equity: Decimal

    @property
    def average_entry(self) -> Decimal | None:
        """The price at which the trades together are worth what they cost; None if they are flat.

        If all have one side, that is the average of their entry prices by quantity.
        """
        return self.sums.cost / self.sums.quantity if self.sums.quantity else None

    @property
    def market_value(self) -> Decimal | None:
        """The rupees that the net quantity is worth; negative if more was sold than bought."""
        return self.sums.quantity * self.known.quote.price if self.known else None

    @property
    def unrealized_pnl(self) -> Decimal | None:
        """The P&L of the trades at the last known price, in rupees."""
        return self.sums.pnl_at(self.known.quote.price) if self.known else None

    @property
    def weight_pct(self) -> Decimal | None:
        """The market value in per cent of the equity; None without either."""
        if self.market_value is None or self.equity <= 0:
            return None
        return 100 * self.market_value / self.equity


def value_positions(portfolio: Portfolio) -> list[ValuedPosition]:
    """Return the positions of a portfolio in alphabetical order; never waits for a price."""
    held = {symbol: sums for symbol, sums in portfolio.exposure.items() if sums.trades}
    known = services().quotes.known(held)
    equity = value(portfolio).equity
    return [
        ValuedPosition(symbol, held[symbol], known.get(symbol), equity) for symbol in sorted(held)
    ]
