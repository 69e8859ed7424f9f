"""Pairs of entries, of which the first to fill cancels the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bson import ObjectId

from app.domain.entry import Entered, Triggered
from app.domain.trade import EndReason, TradeStatus, end_entry
from app.models import Trade, TradeChange
from app.models.pending import find_pending_of


def find_others(changes: Sequence[TradeChange]) -> Mapping[ObjectId, Trade]:
    """Return the other entries of the pairs of which one is filled, by id.

    In a transaction, so that none of them is filled or cancelled meanwhile.
    """
    wanted = {
        item.trade.oco_id: item.user_id
        for item in changes
        if item.trade.oco_id is not None and isinstance(item.transition.change, Entered)
    }
    if not wanted:
        return {}
    known = {item.trade.id: item.trade for item in changes}
    missing = {id: user_id for id, user_id in wanted.items() if id not in known}
    return known | {trade.id: trade for trade in find_pending_of(missing)}


def cancellation(
    item: TradeChange, others: Mapping[ObjectId, Trade], written: Mapping[ObjectId, TradeChange]
) -> TradeChange | None:
    """Return the end of the other entry of a pair, if `item` fills one of them.

    `written` is what is changed before it. A stop-limit that is only triggered then is cancelled.
    """
    oco_id = item.trade.oco_id
    if oco_id is None or not isinstance(item.transition.change, Entered):
        return None
    other, before = others.get(oco_id), written.get(oco_id)
    if other is None or other.status is not TradeStatus.PENDING:
        return None
    if before is not None and not isinstance(before.transition.change, Triggered):
        return None
    return TradeChange(other, end_entry(other, EndReason.OCO))
