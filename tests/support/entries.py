"""Short helpers to fill entry orders by ticks and candles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.entry import Entered, EntryOrder
from app.domain.fill import FillRule
from app.domain.order import OrderType
from app.domain.quote import Quote
from app.domain.side import TradeType
from app.domain.trade import (
    TradeStatus,
)
from app.domain.triggers import SettledFrom
from tests.support.quotes import NOON, quote

MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT
STOP, STOP_LIMIT = OrderType.STOP, OrderType.STOP_LIMIT
BUY, SELL = TradeType.BUY, TradeType.SELL
MINUTE = timedelta(minutes=1)


@dataclass
class Trade:
    order: EntryOrder | None
    bracket: Bracket | None = None
    status: TradeStatus = TradeStatus.PENDING


def candle(*prices: int, minute: int = 1) -> Candle:
    """Return a candle of these prices in their order, some minutes after NOON."""
    time = NOON + minute * MINUTE
    return Candle.of([quote(price, timestamp=time) for price in prices])


def tick(price: Decimal | int | str, minute: int = 1) -> Quote:
    return quote(price, timestamp=NOON + minute * MINUTE)


def opening(price: int) -> Quote:
    return replace(tick(price), opens_session=True)


def filled(
    order: EntryOrder, by: Quote | Candle, settled_from: SettledFrom | None = None
) -> tuple[Decimal | int, FillRule | None] | None:
    """Return the price and the rule of the fill that a tick or a candle causes."""
    change = order.filled_in(by) if isinstance(by, Candle) else order.filled_by(by, settled_from)
    if not isinstance(change, Entered):
        return None
    return change.bracket.entry_price, change.bracket.entry_rule
