"""The trades of the rests of entry orders that were filled in part."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from app.database import collection
from app.domain.trade import TradeStatus
from app.models.trade import Trade
from app.models.trade_changes import TradeChange
from app.models.trade_document import model_fields, order_fields, pending_fields


def insert_rest(item: TradeChange, number: int, time: datetime) -> Trade:
    """Insert the trade of the rest that a change leaves; call it in its transaction.

    It has the terms of the order, without its client_order_id and the other order of its pair.
    """
    part, order = item.trade, item.rest
    assert order is not None
    rest = replace(
        part,
        id=item.rest_id,
        number=number,
        order=order,
        status=TradeStatus.PENDING,
        margin_used=order.margin_at(order.margin_price),
        created_at=time,
        version=0,
        client_order_id=None,
        order_fingerprint=None,
        oco_id=None,
        split_from=part.id,
        opened_as=None,
        adjustments=(),
    )
    collection("trades").insert_one(
        {
            "_id": rest.id,
            "user_id": rest.user_id,
            "portfolio_id": rest.portfolio_id,
            "portfolio": rest.portfolio,
            "number": number,
            "symbol": rest.symbol,
            "margin_used": rest.margin_used,
            "created_at": time,
            "split_from": part.id,
            **order_fields(order),
            **model_fields(order.model),
            "status": rest.status.value,
            "waiting": True,
            **pending_fields(order),
        }
    )
    return rest
