"""The trades of a portfolio in batches, for an export."""

from __future__ import annotations

from collections.abc import Iterator

from bson import ObjectId

from app.domain.trade import TradeStatus
from app.models.paging import numbered_windows
from app.models.trade import BY_NUMBER, Trade, query_of


def find_in_batches(
    user_id: str,
    portfolio_id: ObjectId,
    first: int,
    last: int,
    *,
    status: TradeStatus | None = None,
    symbol: str | None = None,
) -> Iterator[list[Trade]]:
    """Yield trades of the portfolio with a number from `first` to `last`, oldest first."""
    query = query_of(user_id, portfolio_id, status, symbol)
    for documents in numbered_windows("trades", query, BY_NUMBER, first, last):
        yield [Trade.from_document(document) for document in documents]
