"""Positions: what a portfolio holds, net by symbol, at the last known quotes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from app.domain.day import start_of_day
from app.domain.position import Position
from app.market_data.quotes import KnownQuote
from app.models import Portfolio
from app.models.open_trades import find_entered
from app.portfolio.holdings import Holding, find_holdings
from app.portfolio.valuation import value_holdings


@dataclass(frozen=True, slots=True)
class ValuedPosition:
    """The sums of a symbol's open trades, and its last known quote, if it ever had one.

    `entered` are the sums of the trades that were entered on the day of the quote, `equity` is
    that of the portfolio, in rupees.
    """

    symbol: str
    sums: Position
    known: KnownQuote | None
    entered: Position
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
    def day_pnl(self) -> Decimal | None:
        """The P&L since the previous close, in rupees; None if no source gave that close."""
        if self.known is None or (close := self.known.quote.details.previous_close) is None:
            return None
        return self.sums.day_pnl_at(self.known.quote.price, close, self.entered)

    @property
    def weight_pct(self) -> Decimal | None:
        """The market value in per cent of the equity; None without either."""
        if self.market_value is None or self.equity <= 0:
            return None
        return 100 * self.market_value / self.equity


def value_positions(portfolio: Portfolio) -> list[ValuedPosition]:
    """Return the positions of a portfolio in alphabetical order; never waits for a price."""
    held = find_holdings(portfolio)
    entered = _entered_on_day(portfolio, held)
    equity = value_holdings(portfolio, held).equity
    return [
        ValuedPosition(
            symbol,
            held[symbol].sums,
            held[symbol].known,
            entered.get(symbol, Position()),
            equity,
        )
        for symbol in sorted(held)
    ]


def _entered_on_day(portfolio: Portfolio, held: Mapping[str, Holding]) -> dict[str, Position]:
    """Return what was entered on the day of each quote that has a previous close."""
    days = {
        symbol: start_of_day(each.known.quote.timestamp)
        for symbol, each in held.items()
        if each.known and each.known.quote.details.previous_close is not None
    }
    if not days:
        return {}
    entered: dict[str, Position] = defaultdict(Position)
    for symbol, bracket in find_entered(portfolio.user_id, portfolio.id, since=min(days.values())):
        if symbol in days and bracket.entry_timestamp >= days[symbol]:
            entered[symbol] += Position.of(bracket)
    for symbol, day in days.items():
        if entries := held[symbol].entries:
            entered[symbol] = sum((each for time, each in entries if time >= day), Position())
    return entered
