"""The rests of entry orders that were filled in part: trades of their own, which wait on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from bson import ObjectId

from app.models import EventDraft, Portfolio, Trade, TradeChange
from app.models.open_trades import find_open_of
from app.models.trade_rests import insert_rest
from app.trades.events import trade_created


def write_rests(changes: Sequence[TradeChange], time: datetime) -> dict[ObjectId, EventDraft]:
    """Insert the trades of the rests that changes leave; return their events, by trade of the part.

    Call it in the transaction of the changes, after their portfolios have counted the rests.
    """
    split = [item for item in changes if item.rest]
    if not split:
        return {}
    owners = {item.trade.portfolio_id: item.user_id for item in split}
    portfolios = {portfolio.id: portfolio for portfolio in Portfolio.find_by_ids(owners)}
    left = Counter(item.trade.portfolio_id for item in split)
    events: dict[ObjectId, EventDraft] = {}
    for item in split:
        portfolio = portfolios[item.trade.portfolio_id]
        left[portfolio.id] -= 1
        rest = insert_rest(item, portfolio.trade_count - left[portfolio.id], time)
        events[item.trade.id] = trade_created(rest, portfolio.available_margin)
    return events


def find_rests(written: Iterable[object]) -> list[Trade]:
    """Return the rests, as far as they are open, that the written changes of trades have left."""
    changes = [item for item in written if isinstance(item, TradeChange) and item.rest]
    return find_open_of({item.rest_id: item.user_id for item in changes}) if changes else []
