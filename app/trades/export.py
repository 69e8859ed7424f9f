"""The trades of a portfolio for an export, read in batches."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.trade import TradeStatus
from app.models import Portfolio, Trade
from app.services import services


def read_trades(
    portfolio: Portfolio | None, *, status: TradeStatus | None = None, symbol: str | None = None
) -> Iterator[list[Trade]]:
    """Yield the trades of a portfolio's current season in batches, oldest first.

    Raises InvalidRequest for an unknown symbol, before the first batch. Trades that are opened
    meanwhile are left out.
    """
    name = services().instruments.get_ordered(symbol).symbol if symbol else None
    if portfolio is None:
        return iter(())
    return Trade.find_in_batches(
        portfolio.user_id,
        portfolio.id,
        portfolio.season_start + 1,
        portfolio.trade_count,
        status=status,
        symbol=name,
    )
