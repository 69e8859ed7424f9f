"""Pending trades: entries that wait, counted for their user, and found when they end unfilled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from bson import ObjectId

from app.database import Document, collection
from app.database.hints import use_index
from app.domain.trade import TradeStatus
from app.models.bulk import by_owner
from app.models.trade import BY_NUMBER, Trade
from app.models.trigger_index import CURSOR_BATCH_SIZE

PENDING = TradeStatus.PENDING.value


def count_pending(user_id: str, portfolio_id: ObjectId) -> int:
    """Return the number of trades of a portfolio that wait for their entry."""
    query = {"user_id": user_id, "portfolio_id": portfolio_id, "status": PENDING}
    return collection("trades").count_documents(query, **use_index(*BY_NUMBER))


def find_expired(until: datetime) -> Iterator[Trade]:
    """Yield the pending trades that end by `until`, the earliest first."""
    return _find({"pending_until": {"$lte": until}}, "pending_until")


def find_pending(symbol: str) -> Iterator[Trade]:
    """Yield the trades of a symbol that wait for their entry. Reads all that wait for prices."""
    query = {"waiting": True, "symbol": symbol, "status": PENDING}
    return _find(query, "waiting", "symbol", "trigger_below")


def find_pending_of(owners: Mapping[ObjectId, str]) -> Iterator[Trade]:
    """Yield those of these trades, each of its owner, that wait for their entry."""
    if not owners:
        return iter(())
    return _find({**by_owner(owners), "status": PENDING}, "_id")


def _find(query: Document, *index: str) -> Iterator[Trade]:
    found = collection("trades").find(query, batch_size=CURSOR_BATCH_SIZE, **use_index(*index))
    return map(Trade.from_document, found)
