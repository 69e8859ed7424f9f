"""The trades of a portfolio for an export, read in batches."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.trade import TradeStatus
from app.models import Portfolio, Trade
from app.models.trade_export import find_in_batches
from app.portfolio.service import get_season
from app.services import services


def read_trades(
    portfolio: Portfolio | None,
    *,
    season: int | None = None,
    status: TradeStatus | None = None,
    symbol: str | None = None,
) -> Iterator[list[Trade]]:
    """Yield the trades of a season in batches, oldest first; of the current one by default.

    Raises InvalidRequest for an unknown symbol and NotFound for an unknown season, before the
    first batch. Trades that are opened meanwhile are left out.
    """
    name = services().instruments.get_ordered(symbol).symbol if symbol else None
    if portfolio is None:
        return iter(())
    chosen = get_season(portfolio, season)
    owner = portfolio.user_id, portfolio.id
    numbers = chosen.first_number, chosen.last_number
    return find_in_batches(*owner, *numbers, status=status, symbol=name)
