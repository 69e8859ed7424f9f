"""A trade as it was when it was opened: what a retry of its order is answered with."""

from __future__ import annotations

from dataclasses import replace

from app.domain.entry import EntryOrder
from app.domain.trade import TradeStatus, has_ended_on_arrival
from app.models import Trade


def as_opened(trade: Trade) -> Trade:
    """Return the trade as it was when it was opened."""
    order, bracket = trade.order, trade.bracket
    if has_ended_on_arrival(trade.end_reason, trade.version):
        return trade
    if isinstance(trade.opened_as, EntryOrder):
        order = trade.opened_as
    if order is not None and (trade.filled_at is not None or bracket is None):
        return _as_pending(trade, order)
    return _as_active(trade)


def _as_pending(trade: Trade, order: EntryOrder) -> Trade:
    placed = replace(order, triggered_at=None, margin_basis=None)
    margin = placed.margin_at(placed.margin_price)
    return replace(
        _unchanged(trade),
        status=TradeStatus.PENDING,
        order=placed,
        bracket=None,
        margin_used=margin,
    )


def _as_active(trade: Trade) -> Trade:
    terms = trade.opened_as or trade.terms
    bracket = replace(
        trade.entered_as,
        exited=0,
        stop_loss=terms.stop_loss,
        target_price=terms.target_price,
        levels_since=None,
        trailing=terms.trailing,
        trailing_start=None,
        exit_queued=None,
    )
    return replace(_unchanged(trade), status=TradeStatus.ACTIVE, bracket=bracket)


def _unchanged(trade: Trade) -> Trade:
    """Return the trade without what happened to it later, but for its status and its terms."""
    return replace(
        trade,
        exit=None,
        closed_at=None,
        end_reason=None,
        partial_exits=(),
        adjustments=(),
        filled_at=None,
        rest_id=None,
        version=0,
    )
