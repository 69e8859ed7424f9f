"""What the entries and exits of a portfolio changed in a span of time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bson import ObjectId

from app.database import Document, collection
from app.database.hints import use_index
from app.domain.equity import Booking
from app.domain.money import ZERO
from app.domain.position import Position
from app.domain.side import TradeType
from app.domain.trade import TradeStatus
from app.models.paging import PASS_SIZE

BY_CLOSE = ("user_id", "portfolio_id", "closed_at")
BY_STATUS = ("user_id", "portfolio_id", "status", "number")
FIELDS = {
    **{"symbol": 1, "trade_type": 1, "quantity": 1, "entry_price": 1, "created_at": 1},
    **{"filled_at": 1, "partial_exits": 1, "closed_at": 1, "exit_reason": 1, "pnl": 1},
}


def find_bookings(
    user_id: str, portfolio_id: ObjectId, since: datetime, until: datetime
) -> Iterator[Booking]:
    """Yield the bookings of a portfolio after `since` and up to `until`, in no order.

    It reads the trades that are open, and those that closed after `since`.
    """
    owner: Document = {"user_id": user_id, "portfolio_id": portfolio_id}
    is_open = {**owner, "status": TradeStatus.ACTIVE.value}
    closed = {**owner, "closed_at": {"$gt": since}}
    seen: set[ObjectId] = set()
    # One that closes in between is found as an open one, and only as that.
    for query, index in ((is_open, BY_STATUS), (closed, BY_CLOSE)):
        found: Any = collection("trades").find(query, FIELDS, **use_index(*index))
        for document in found.batch_size(PASS_SIZE):
            if document["_id"] not in seen:
                seen.add(document["_id"])
                yield from (
                    booking for booking in _bookings(document) if since < booking.time <= until
                )


def _bookings(trade: Document) -> Iterator[Booking]:
    """Yield the entry and the exits of a trade; none of one that was not entered."""
    if trade.get("entry_price") is None:
        return
    symbol, sign = trade["symbol"], TradeType(trade["trade_type"]).sign
    entry = trade["entry_price"] * sign

    def held(quantity: int, trades: int = 0) -> Position:
        return Position(trades, quantity * sign, quantity * entry)

    yield Booking(trade.get("filled_at") or trade["created_at"], symbol, held(trade["quantity"], 1))
    parts = trade.get("partial_exits", ())
    for part in parts:
        yield Booking(part["time"], symbol, -held(part["quantity"]), part["pnl"])
    if trade.get("exit_reason") is not None:
        rest = trade["quantity"] - sum(part["quantity"] for part in parts)
        pnl = trade["pnl"] - sum((part["pnl"] for part in parts), ZERO)
        yield Booking(trade["closed_at"], symbol, -held(rest, 1), pnl)
