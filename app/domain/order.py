"""An order: what a user asks to trade, before there is a price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from app.domain.portfolio import DEFAULT_NAME
from app.domain.side import TradeType

MAX_QUANTITY = 10_000_000


class OrderType(StrEnum):
    """When an order is filled: at once, or at a limit price, beyond a stop price, or both."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"

    @property
    def has_limit(self) -> bool:
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def has_stop(self) -> bool:
        return self in (OrderType.STOP, OrderType.STOP_LIMIT)


class TimeInForce(StrEnum):
    """How long an entry waits: to the end of its session, until it is cancelled, or not at all."""

    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"


@dataclass(frozen=True, slots=True)
class Order:
    """An order with its optional bracket. Prices are rupees.

    `limit_price` is set if the `order_type` has a limit, `stop_price` if it has a stop.
    `fingerprint` is equal for orders of the same content: it distinguishes a retry under the same
    `client_order_id` from another order.
    """

    symbol: str
    trade_type: TradeType
    quantity: int
    stop_loss: Decimal | None = None
    target_price: Decimal | None = None
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str | None = None
    portfolio: str = DEFAULT_NAME
    fingerprint: str = ""
