"""The state of a trade, for the errors that include it."""

from __future__ import annotations

from app.domain.money import to_paisa
from app.domain.trade import TradeStatus
from app.models import Trade


def trade_state(trade: Trade) -> dict[str, object]:
    """Return the trade as it is, under the names of the API."""
    order, bracket, price = trade.order, trade.bracket, trade.exit_price
    is_active = trade.status is TradeStatus.ACTIVE
    return {
        "trade_id": str(trade.id),
        "symbol": trade.symbol,
        "trade_type": trade.trade_type.value,
        "status": trade.status.value,
        "version": trade.version,
        "quantity": trade.terms.quantity,
        "open_quantity": bracket.open_quantity if bracket and is_active else 0,
        "limit_price": order.limit_price if order else None,
        "stop_price": order.stop_price if order else None,
        "stop_loss": trade.terms.stop_loss,
        "target_price": trade.terms.target_price,
        "exit_queued": is_active and bracket is not None and bracket.exit_queued is not None,
        "entry_price": bracket.entry_price if bracket else None,
        "exit_price": to_paisa(price) if price is not None else None,
        "pnl": trade.pnl,
        "margin_used": trade.margin_used,
    }
