"""Changes of trades that something else changed before they were written: decided again."""

from __future__ import annotations

from collections.abc import Sequence

from bson import ObjectId

from app.domain.entry import Entered, Triggered
from app.domain.fill import Exit
from app.domain.trade import rebase
from app.models import Trade, TradeChange
from app.models.open_trades import find_open_of
from app.trades.best_prices import best_before, from_start
from app.trades.trailing import TrailingStops


def rebase_all(
    changes: Sequence[TradeChange], trailing: TrailingStops | None, diverged: set[ObjectId]
) -> list[TradeChange]:
    """Return what the prices that caused changes cause to the trades as they are now, in order.

    Trades that are not as their changes expect are added to `diverged`; one that is over has no
    change any more. `trailing` is what the changes were found with.
    """
    owners = {item.trade.id: item.user_id for item in changes}
    current: dict[ObjectId, Trade | None] = {trade.id: trade for trade in find_open_of(owners)}
    diverged.update(
        id for id, item in _first_of_each(changes).items() if not _is_as_expected(current, item)
    )
    latest: list[TradeChange] = []
    for item in changes:
        trade = current.get(item.trade.id)
        if item.trade.id not in diverged:
            latest.append(item)
        elif trade and (rebased := _rebased(item, trade, trailing)):
            latest.append(rebased)
            current[trade.id] = trade.after(rebased.transition)
    return latest


def _first_of_each(changes: Sequence[TradeChange]) -> dict[ObjectId, TradeChange]:
    return {item.trade.id: item for item in reversed(changes)}


def _is_as_expected(current: dict[ObjectId, Trade | None], item: TradeChange) -> bool:
    trade = current.get(item.trade.id)
    expected = item.trade.version, item.trade.status
    return trade is not None and (trade.version, trade.status) == expected


def _rebased(item: TradeChange, trade: Trade, trailing: TrailingStops | None) -> TradeChange | None:
    change, best = item.transition.change, None
    if isinstance(change, Exit | Entered | Triggered):
        first = trailing.best_before if trailing else from_start
        best = best_before(trade, change.quote, first)
    transition = rebase(item.transition, item.trade, trade, best=best)
    return TradeChange(trade, transition) if transition else None
