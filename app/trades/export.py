"""The export of a portfolio's trades as CSV, a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from app.domain.money import to_paisa
from app.domain.trade import TradeStatus
from app.models import Portfolio, Trade
from app.services import services
from app.web.csv_format import format_row

# The names are those of a trade in the API.
COLUMNS: Mapping[str, Callable[[Trade], object]] = {
    "trade_id": lambda trade: str(trade.id),
    "portfolio": lambda trade: trade.portfolio,
    "symbol": lambda trade: trade.symbol,
    "trade_type": lambda trade: trade.trade_type,
    "quantity": lambda trade: trade.terms.quantity,
    "entry_price": lambda trade: trade.bracket and trade.bracket.entry_price,
    "stop_loss": lambda trade: trade.terms.stop_loss,
    "target_price": lambda trade: trade.terms.target_price,
    "status": lambda trade: trade.status,
    "created_at": lambda trade: trade.created_at,
    "margin_used": lambda trade: trade.margin_used,
    "client_order_id": lambda trade: trade.client_order_id,
    "exit_price": lambda trade: _average(trade.exit_price),
    "pnl": lambda trade: trade.pnl,
    "closed_at": lambda trade: trade.closed_at,
    "exit_reason": lambda trade: trade.exit and trade.exit.reason,
    "settled_from": lambda trade: trade.exit and trade.exit.settled_from,
}


def export_trades(
    portfolio: Portfolio | None, *, status: TradeStatus | None = None, symbol: str | None = None
) -> Iterator[str]:
    """Yield CSV: the header, then the trades of a portfolio's current season, oldest first.

    Raises InvalidRequest for an unknown symbol, at the header. Trades that are opened meanwhile
    are left out.
    """
    name = services().instruments.get_ordered(symbol).symbol if symbol else None
    yield format_row(COLUMNS)
    if portfolio is None:
        return
    for trades in Trade.find_in_batches(
        portfolio.user_id,
        portfolio.id,
        portfolio.season_start + 1,
        portfolio.trade_count,
        status=status,
        symbol=name,
    ):
        yield "".join(map(_row, trades))


def _row(trade: Trade) -> str:
    return format_row(read(trade) for read in COLUMNS.values())


def _average(price: Decimal | None) -> Decimal | None:
    return None if price is None else to_paisa(price)
