"""What trades tell their user: in words for a message, as data for a program."""

from __future__ import annotations

from decimal import Decimal

from app.domain.bracket import Exit, ExitReason, TradeType
from app.models import EventDraft, Trade

_OPENED = {TradeType.BUY: "Bought", TradeType.SELL: "Sold"}
_CLOSED = {
    ExitReason.USER: "Exited",
    ExitReason.STOP_LOSS: "Stop-loss closed",
    ExitReason.TARGET: "Target closed",
}


def trade_created(trade: Trade) -> EventDraft:
    """Tell of a trade that was opened."""
    bracket = trade.bracket
    return EventDraft(
        user_id=trade.user_id,
        type="trade_created",
        message=f"{_OPENED[bracket.trade_type]} {bracket.quantity} {trade.symbol} "
        f"at {bracket.entry_price:,}.",
        data={
            **_identity(trade),
            "user_id": trade.user_id,
            "entry_price": bracket.entry_price,
            "stop_loss": bracket.stop_loss,
            "target_price": bracket.target_price,
            "status": trade.status.value,
            "created_at": trade.created_at,
            "margin_used": trade.margin_used,
        },
    )


def trade_closed(trade: Trade, exit: Exit) -> EventDraft:
    """Tell of a trade that its user exited, or that was closed for them."""
    by_user = exit.reason is ExitReason.USER
    return EventDraft(
        user_id=trade.user_id,
        type="trade_exited" if by_user else "trade_auto_closed",
        message=f"{_CLOSED[exit.reason]} your {trade.bracket.trade_type} of "
        f"{trade.bracket.quantity} {trade.symbol} at {exit.price:,}: {_in_words(exit.pnl)}.",
        data={
            **_identity(trade),
            "reason": exit.reason.value,
            "exit_price": exit.price,
            "pnl": exit.pnl,
            "quote": {
                "price": exit.quote.price,
                "source": exit.quote.source.value,
                "timestamp": exit.quote.timestamp,
            },
            **({"settled_from": exit.settled_from.value} if exit.settled_from else {}),
        },
    )


def _identity(trade: Trade) -> dict[str, object]:
    return {
        "trade_id": str(trade.id),
        "symbol": trade.symbol,
        "trade_type": trade.bracket.trade_type.value,
        "quantity": trade.bracket.quantity,
    }


def _in_words(pnl: Decimal) -> str:
    if pnl == 0:
        return "no profit, no loss"
    return f"a {'profit' if pnl > 0 else 'loss'} of {abs(pnl):,} rupees"
