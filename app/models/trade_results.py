"""The results of trades, without their other fields: what statistics read of a whole history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bson import ObjectId

from app.database import Document
from app.domain.money import ZERO
from app.domain.statistics import Realized
from app.models.paging import numbered_windows

BY_NUMBER = ("user_id", "portfolio_id", "number")
FIELDS = {
    **{"_id": 0, "number": 1, "symbol": 1, "partial_exits.time": 1, "partial_exits.pnl": 1},
    **{"exit_reason": 1, "closed_at": 1, "pnl": 1},
}


@dataclass(frozen=True, slots=True)
class TradeResult:
    """What a trade realized: each exit, and the whole once it is closed."""

    exits: list[Realized]
    closed: Realized | None


def find_results(
    user_id: str, portfolio_id: ObjectId, first: int, last: int
) -> Iterator[list[TradeResult]]:
    """Yield what trades of a portfolio with a number from `first` to `last` realized, in batches.

    The batches are in the order of the numbers. A trade that closes meanwhile may be left out.
    """
    query = {"user_id": user_id, "portfolio_id": portfolio_id}
    for documents in numbered_windows("trades", query, BY_NUMBER, first, last, FIELDS):
        yield [_result(document) for document in documents]


def _result(trade: Document) -> TradeResult:
    """Return what a trade realized: nothing if it was never entered."""
    symbol = trade["symbol"]
    parts = [Realized(part["time"], symbol, part["pnl"]) for part in trade.get("partial_exits", ())]
    if trade.get("exit_reason") is None:
        return TradeResult(parts, None)
    closed = Realized(trade["closed_at"], symbol, trade["pnl"])
    if not parts:
        return TradeResult([closed], closed)
    rest = trade["pnl"] - sum((part.pnl for part in parts), ZERO)
    return TradeResult([*parts, Realized(closed.time, symbol, rest)], closed)
