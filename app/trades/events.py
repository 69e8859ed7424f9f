"""The events of trades: a message for the user, and data for programs."""

from __future__ import annotations

from decimal import Decimal

from app.domain.bracket import Bracket, Exit, ExitReason, TradeType
from app.domain.money import format_rupees
from app.domain.triggers import SettledFrom
from app.models import EventDraft, Trade

_OPENED = {TradeType.BUY: "Bought", TradeType.SELL: "Sold"}
_REACHED = {ExitReason.STOP_LOSS: "Stop-loss hit", ExitReason.TARGET: "Target reached"}
_WHEN = {
    None: "",
    SettledFrom.GAP: " while the server was away",
    SettledFrom.QUOTE: " at the first price after a time without prices",
    SettledFrom.LAST_PRICE: " at its last known price,",
}


def trade_created(trade: Trade, available_margin: Decimal) -> EventDraft:
    """Return the event of an opened trade; `available_margin` is what is left, in rupees."""
    bracket = trade.bracket
    return EventDraft(
        user_id=trade.user_id,
        type="trade_created",
        message=f"{_OPENED[bracket.trade_type]} {bracket.quantity} {trade.symbol} "
        f"at {format_rupees(bracket.entry_price)}{_levels(bracket)}.",
        data={
            **_identity(trade),
            "user_id": trade.user_id,
            "entry_price": bracket.entry_price,
            "stop_loss": bracket.stop_loss,
            "target_price": bracket.target_price,
            "status": trade.status.value,
            "created_at": trade.created_at,
            "margin_used": trade.margin_used,
            "available_margin": available_margin,
        },
    )


def trade_closed(trade: Trade, exit: Exit) -> EventDraft:
    """Return the event of a trade that its user or a price closed."""
    by_user = exit.reason is ExitReason.USER
    return EventDraft(
        user_id=trade.user_id,
        type="trade_exited" if by_user else "trade_auto_closed",
        message=_closed_in_words(trade, exit),
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
        "portfolio": trade.portfolio,
        "symbol": trade.symbol,
        "trade_type": trade.bracket.trade_type.value,
        "quantity": trade.bracket.quantity,
    }


def _levels(bracket: Bracket) -> str:
    levels = {"stop-loss": bracket.stop_loss, "target": bracket.target_price}
    parts = [
        f"{name} {format_rupees(level)}" for name, level in levels.items() if level is not None
    ]
    return f" with {' and '.join(parts)}" if parts else ""


def _closed_in_words(trade: Trade, exit: Exit) -> str:
    position = f"your {trade.bracket.trade_type} of {trade.bracket.quantity} {trade.symbol}"
    price, result = format_rupees(exit.price), _result(exit.pnl)
    when = _WHEN[exit.settled_from]
    if exit.reason is ExitReason.USER:
        return f"Exited {position}{when or ' at'} {price}: {result}."
    return f"{_REACHED[exit.reason]}{when}: {position} was closed at {price}, {result}."


def _result(pnl: Decimal) -> str:
    if pnl == 0:
        return "no profit and no loss"
    return f"a {'profit' if pnl > 0 else 'loss'} of {format_rupees(abs(pnl))}"
