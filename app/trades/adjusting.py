"""Adjusting trades to a corporate action: one transaction for each batch, once for each trade.

The update of a trade is guarded by its version and adds a line to it, so another try, another
process or a new start applies the action to the rest only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial

from bson import ObjectId

from app.database.batches import Fence, write_in_batches, written_without_outage
from app.domain.checks import tick_size_of
from app.domain.corporate_actions import (
    ActionKind,
    Adjusted,
    Basis,
    CorporateAction,
    adjust_bracket,
    adjust_order,
)
from app.domain.money import PAISA
from app.domain.trade import EndReason, adjust, end_entry
from app.logs import logger
from app.market_data.corporate_actions import is_unadjusted
from app.models import Movement, MovementKind, Portfolio, Trade, TradeChange
from app.models.stored_action import find_unadjusted
from app.services import now, services
from app.trades.execution import apply_batch, name_change
from app.trades.trailing import TrailingStops

# Each round finds what its user changed during the one before.
MAX_ROUNDS = 5


def adjust_trades(
    action: CorporateAction,
    close: Decimal | None,
    trailing: TrailingStops,
    fence: Fence | None = None,
) -> int:
    """Adjust the open trades of a symbol; return how many.

    `close` is the last price before the ex-date, in rupees. Raises PyMongoError if the database is
    unavailable, and LeaseLost if the `fence` does.
    """
    count = 0
    for _ in range(MAX_ROUNDS):
        changes = list(_changes(action, close, trailing))
        if not changes:
            return count
        results = write_in_batches([changes], partial(_write, fence=fence), name_change)
        count += len(written_without_outage(results))
    logger.error("%s: some trades could not be adjusted", action.id)
    return count


def _changes(
    action: CorporateAction, close: Decimal | None, trailing: TrailingStops
) -> Iterator[TradeChange]:
    instrument = services().instruments.by_symbol(action.symbol)
    tick_size = tick_size_of(instrument, "limit_price") if instrument else PAISA
    for trade in find_unadjusted(action):
        if not is_unadjusted(trade, action):
            continue
        stop = trade.trailing_stop
        basis = Basis(
            tick_size=tick_size,
            margin=trade.margin_blocked,
            time=now(),
            exits=len(trade.partial_exits),
            close=close,
            best=trailing.best_before(action.symbol, stop) if stop else None,
        )
        if change := _change(trade, action, basis):
            yield change


def _change(trade: Trade, action: CorporateAction, basis: Basis) -> TradeChange | None:
    """Return what an action changes about a trade, None if nothing."""
    if trade.bracket:
        return TradeChange(trade, adjust(trade, adjust_bracket(trade.bracket, action, basis)))
    if action.kind.reorganizes:
        return TradeChange(trade, end_entry(trade, EndReason.CORPORATE_ACTION))
    if not action.kind.changes_units:
        return None
    assert trade.order is not None
    return TradeChange(trade, adjust(trade, adjust_order(trade.order, action, basis)))


def _write(changes: Sequence[TradeChange], fence: Fence | None) -> Sequence[TradeChange]:
    apply_batch(changes, partial(_book, changes), fence)
    return changes


def _book(changes: Sequence[TradeChange], time: datetime) -> None:
    """Write a movement for each amount that was booked, for the ledger of its portfolio."""
    booked: dict[ObjectId, list[tuple[Trade, Adjusted]]] = defaultdict(list)
    for item in changes:
        change = item.transition.change
        if isinstance(change, Adjusted) and change.adjustment.pnl:
            booked[item.trade.portfolio_id].append((item.trade, change))
    if not booked:
        return
    owners = {item.trade.portfolio_id: item.user_id for item in changes}
    for portfolio in Portfolio.find_by_ids({id: owners[id] for id in booked}):
        lines = booked[portfolio.id]
        balance = portfolio.available_margin - sum(each.adjustment.pnl for _, each in lines)
        for trade, each in lines:
            balance += each.adjustment.pnl
            is_dividend = each.adjustment.kind is ActionKind.DIVIDEND
            Movement.create(
                user_id=portfolio.user_id,
                portfolio_id=portfolio.id,
                season=portfolio.season,
                kind=MovementKind.DIVIDEND if is_dividend else MovementKind.CORPORATE_ACTION,
                amount=each.adjustment.pnl,
                balance_after=balance,
                created_at=time,
                trade_id=trade.id,
                symbol=trade.symbol,
            )
