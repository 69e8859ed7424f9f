"""What a portfolio holds and the last known quotes, both in the units of now.

After the open of the ex-date of a split or a bonus, a quote may be of before it until the share has
a price, and a trade may not be adjusted for some seconds. Their product would be off by the factor.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from app.domain.bracket import Bracket
from app.domain.corporate_actions import CorporateAction, divide, factor_of_all
from app.domain.position import Position
from app.market_data.corporate_actions import is_unadjusted
from app.market_data.quotes import KnownQuote
from app.models import Portfolio, Trade
from app.models.open_trades import find_held
from app.services import market_time, services


@dataclass(frozen=True, slots=True)
class Holding:
    """The sums of a symbol's open trades, and its last known quote, if it ever had one.

    `known` is as the source gave it, but for the units of its prices. `entries` are the trades one
    by one, each with the time of its entry, if some of them are not adjusted yet.
    """

    sums: Position
    known: KnownQuote | None
    entries: tuple[tuple[datetime, Position], ...] = ()


def find_holdings(portfolio: Portfolio) -> dict[str, Holding]:
    """Return what a portfolio holds by symbol; never waits for a price."""
    held = {symbol: sums for symbol, sums in portfolio.exposure.items() if sums.trades}
    known = services().quotes.known(held)
    return {
        symbol: _in_units_of_now(portfolio, symbol, sums, known.get(symbol))
        for symbol, sums in held.items()
    }


def _in_units_of_now(
    portfolio: Portfolio, symbol: str, sums: Position, known: KnownQuote | None
) -> Holding:
    actions, time = services().actions, market_time()
    passed = actions.opened(symbol, max(time, known.quote.timestamp) if known else time)
    if not passed:
        return Holding(sums, known)
    if known:
        known = replace(known, quote=actions.in_units_at(known.quote, time))
    if all(map(actions.is_completed, passed)):
        return Holding(sums, known)
    # Of one read: the sums may be of before the adjustment of a trade.
    trades = find_held(portfolio.user_id, portfolio.id, symbol)
    entries = tuple((trade.set_at, _position_of(trade, passed)) for trade in trades)
    return Holding(sum((each for _, each in entries), Position()), known, entries)


def _position_of(trade: Trade, passed: Iterable[CorporateAction]) -> Position:
    """Return what a trade holds once the passed actions have adjusted it, at the same cost a unit.

    The fraction of a unit is left out: it will be paid for.
    """
    bracket: Bracket = trade.entered
    factor = factor_of_all(action for action in passed if is_unadjusted(trade, action))
    units = int(bracket.open_quantity * factor) * bracket.trade_type.sign
    price: Decimal = divide(bracket.entry_price, factor)
    return Position(trades=1, quantity=units, cost=price * units)
