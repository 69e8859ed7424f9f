"""The trades of the rests of entry orders that were filled in part."""

from __future__ import annotations

from datetime import datetime

from app.database import collection
from app.domain.placement import Placement
from app.models.trade import Trade
from app.models.trade_changes import TradeChange
from app.models.trade_document import placement_fields


def insert_rest(item: TradeChange, number: int, time: datetime) -> Trade:
    """Insert the trade of the rest that a change leaves; call it in its transaction.

    It has the terms of the order, without its client_order_id and the other order of its pair.
    """
    part, order = item.trade, item.rest
    assert order is not None
    waiting = Placement(order.placed, order.margin_at(order.margin_price), order, order)
    document = {
        "_id": item.rest_id,
        "user_id": part.user_id,
        "portfolio_id": part.portfolio_id,
        "portfolio": part.portfolio,
        "number": number,
        "symbol": part.symbol,
        "margin_used": waiting.margin,
        "created_at": time,
        "split_from": part.id,
        **placement_fields(waiting, time),
    }
    collection("trades").insert_one(document)
    return Trade.from_document(document)
