"""Pairs of entries, of which the first to fill cancels the other.

So does the first that is rejected: a pair is one order to its user, as brokers cancel the other
side once one was triggered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bson import ObjectId

from app.domain.entry import Entered
from app.domain.trade import EndReason, TradeStatus, end_entry
from app.models import Trade, TradeChange
from app.models.pending import find_pending_of


def find_others(changes: Sequence[TradeChange]) -> Mapping[ObjectId, Trade]:
    """Return the other entries, if they wait, of the pairs of which one is filled, by id.

    In a transaction, so that none of them is filled or cancelled meanwhile.
    """
    wanted = {
        item.trade.oco_id: item.user_id
        for item in changes
        if item.trade.oco_id is not None and isinstance(item.transition.change, Entered)
    }
    return {trade.id: trade for trade in find_pending_of(wanted)} if wanted else {}


def cancellation(item: TradeChange, others: Mapping[ObjectId, Trade]) -> TradeChange | None:
    """Return the end of the other entry of a pair, if `item` fills or rejects one of them."""
    oco_id = item.trade.oco_id
    other = others.get(oco_id) if oco_id else None
    if other is None:
        return None
    if isinstance(item.transition.change, Entered):
        return TradeChange(other, end_entry(other, EndReason.OCO))
    if item.transition.after is TradeStatus.REJECTED:
        return TradeChange(other, end_entry(other, EndReason.OCO_REJECTED))
    return None
