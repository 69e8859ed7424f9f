"""The request and the response of a pair of entries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from operator import eq
from typing import Annotated

from pydantic import Field, field_validator

from app.domain.order import Order, OrderType, TimeInForce
from app.models import Trade
from app.trades.schemas import CreateTradeRequest
from app.trades.views import TradeView
from app.web.schemas import RequestModel, ResponseModel, one_of


class PairedOrder(CreateTradeRequest):
    """An order as for creating a trade, of a type that waits for its price."""

    order_type: Annotated[
        OrderType, *one_of(OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)
    ] = Field(
        description="LIMIT, STOP or STOP_LIMIT: a MARKET order does not wait.", examples=["LIMIT"]
    )
    time_in_force: Annotated[TimeInForce, *one_of(TimeInForce.DAY, TimeInForce.GTC)] = Field(
        default=TimeInForce.GTC,
        description="How long the order waits: DAY to the end of the session, GTC for 365 days.",
        examples=["DAY"],
        exclude_if=partial(eq, TimeInForce.GTC),
    )


class PlacePairRequest(RequestModel):
    """Two orders of one symbol and portfolio. Each blocks its own margin."""

    orders: Annotated[list[PairedOrder], Field(min_length=2, max_length=2)] = Field(
        description="The two orders, each as for POST /trades/create.",
        examples=[
            [
                {
                    "symbol": "NIFTY",
                    "trade_type": "BUY",
                    "quantity": 1,
                    "order_type": order_type,
                    price: level,
                }
                for order_type, price, level in (
                    ("LIMIT", "limit_price", 24_000.0),
                    ("STOP", "stop_price", 26_000.0),
                )
            ]
        ],
    )

    @field_validator("orders")
    @classmethod
    def _belong_together(cls, orders: list[PairedOrder]) -> list[PairedOrder]:
        if len(orders) != 2:
            return orders
        first, second = orders
        if first.portfolio != second.portfolio:
            raise ValueError("must be of one portfolio")
        if first.client_order_id is not None and first.client_order_id == second.client_order_id:
            raise ValueError("must have different client_order_ids")
        return orders

    def to_orders(self) -> tuple[Order, Order]:
        """Return the orders. Their fingerprints are of both, and of their places."""
        first, second = (
            replace(order.to_order(), fingerprint=self._fingerprint(number))
            for number, order in enumerate(self.orders)
        )
        return first, second

    def _fingerprint(self, number: int) -> str:
        return sha256(f"{number}{self.model_dump_json()}".encode()).hexdigest()


class PairResponse(ResponseModel):
    """The two trades. Each names the other in `oco_id`."""

    trades: list[TradeView] = Field(description="The trades, in the order of the request.")

    @classmethod
    def of(cls, trades: Iterable[Trade]) -> PairResponse:
        return cls(trades=[TradeView.of(trade) for trade in trades])
