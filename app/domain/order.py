"""An order: what a user asks to trade, before there is a price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.domain.bracket import TradeType


@dataclass(frozen=True, slots=True)
class Order:
    """A market order with its optional bracket. Levels are rupees.

    `fingerprint` is equal for orders of the same content: it distinguishes a retry under the same
    `client_order_id` from another order.
    """

    symbol: str
    trade_type: TradeType
    quantity: int
    stop_loss: Decimal | None = None
    target_price: Decimal | None = None
    client_order_id: str | None = None
    fingerprint: str = ""
