"""An order: what a user asks to trade, before there is a price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from app.domain.portfolio import DEFAULT_NAME
from app.domain.side import TradeType
from app.domain.trailing import TrailingTerms, Unit

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
    # One of them at most. The step is rupees.
    trailing_offset: Decimal | None = None
    trailing_pct: Decimal | None = None
    trailing_step: Decimal | None = None
    client_order_id: str | None = None
    portfolio: str = DEFAULT_NAME
    fingerprint: str = ""

    @property
    def is_trailing(self) -> bool:
        """Whether it has a trailing stop."""
        return self.trailing_offset is not None or self.trailing_pct is not None

    def trailing_terms(self, tick_size: Decimal) -> TrailingTerms | None:
        """Return the terms of its trailing stop, whose step is a tick unless it is given."""
        offset, percent = self.trailing_offset, self.trailing_pct
        distance = percent if offset is None else offset
        if distance is None:
            return None
        unit = Unit.PERCENT if offset is None else Unit.RUPEES
        return TrailingTerms(unit, distance, self.trailing_step or tick_size, tick_size)
