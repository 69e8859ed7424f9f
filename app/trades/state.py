"""The state of a trade, for the errors that include it."""

from __future__ import annotations

from typing import Any

from app.models import Trade
from app.trades.current_prices import current_prices
from app.trades.detail_views import TradeDetail


def trade_state(trade: Trade) -> dict[str, Any]:
    """Return the trade as GET /trades/<user_id>/<trade_id> shows it, as types of JSON."""
    return TradeDetail.of_one(trade, current_prices([trade]).get(trade.id)).model_dump(mode="json")
