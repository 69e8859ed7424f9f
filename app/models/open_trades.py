"""The trades of a portfolio that block margin."""

from __future__ import annotations

from bson import ObjectId

from app.database import collection
from app.database.hints import use_index
from app.domain.trade import TradeStatus
from app.models.trade import BY_NUMBER, Trade

OPEN = [status.value for status in TradeStatus if status.is_open]


def find_open(user_id: str, portfolio_id: ObjectId) -> list[Trade]:
    """Return all active and pending trades of the user's portfolio, oldest first."""
    query = {"user_id": user_id, "portfolio_id": portfolio_id, "status": {"$in": OPEN}}
    found = collection("trades").find(query, **use_index(*BY_NUMBER))
    trades = [Trade.from_document(document) for document in found]
    return sorted(trades, key=lambda trade: trade.number)
