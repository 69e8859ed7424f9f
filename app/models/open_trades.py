"""The trades that block margin: of a portfolio, or of many users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from bson import ObjectId

from app.database import collection
from app.database.batches import batched
from app.database.hints import use_index
from app.domain.bracket import Bracket
from app.domain.trade import TradeStatus
from app.models.bulk import IN_CLAUSE_SIZE, by_owner
from app.models.trade import BY_NUMBER, Trade
from app.models.trade_bookings import BY_STATUS
from app.models.trade_document import read_bracket

OPEN = [status.value for status in TradeStatus if status.is_open]


def find_open(user_id: str, portfolio_id: ObjectId) -> list[Trade]:
    """Return all active and pending trades of the user's portfolio, oldest first."""
    query = {"user_id": user_id, "portfolio_id": portfolio_id, "status": {"$in": OPEN}}
    found = collection("trades").find(query, **use_index(*BY_NUMBER))
    trades = [Trade.from_document(document) for document in found]
    return sorted(trades, key=lambda trade: trade.number)


def find_held(user_id: str, portfolio_id: ObjectId, symbol: str) -> list[Trade]:
    """Return the active trades of the user's portfolio in a symbol, in no order."""
    owner = {"user_id": user_id, "portfolio_id": portfolio_id}
    query = {**owner, "status": TradeStatus.ACTIVE.value, "symbol": symbol}
    return list(map(Trade.from_document, collection("trades").find(query, **use_index(*BY_STATUS))))


def find_open_of(owners: Mapping[ObjectId, str]) -> list[Trade]:
    """Return those of these trades, each of its owner, that are active or pending, oldest first."""
    trades: list[Trade] = []
    for ids in batched(list(owners), IN_CLAUSE_SIZE):
        query = by_owner({each: owners[each] for each in ids})
        found = collection("trades").find(query, **use_index("_id"))
        trades += map(Trade.from_document, found)
    open_trades = [trade for trade in trades if trade.status.is_open]
    return sorted(open_trades, key=lambda trade: trade.number)


def find_entered(
    user_id: str, portfolio_id: ObjectId, *, since: datetime
) -> Iterator[tuple[str, Bracket]]:
    """Yield symbol and bracket of the active trades whose entry is no older than `since`."""
    query = {
        "user_id": user_id,
        "portfolio_id": portfolio_id,
        "status": TradeStatus.ACTIVE.value,
        "entry_timestamp": {"$gte": since},
    }
    for document in collection("trades").find(query, **use_index(*BY_NUMBER)):
        bracket = read_bracket(document)
        assert bracket is not None
        yield document["symbol"], bracket
