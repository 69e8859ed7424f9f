"""The fields of a request that say when an order is filled."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from operator import eq, is_
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from app.domain.order import OrderType, TimeInForce
from app.web.schemas import Level, RequestModel, choice


class EntryFields(RequestModel):
    """The kind of an order, and the prices that belong to it.

    A field with its default is left out of a fingerprint, so that requests of clients that do not
    know it stay the same.
    """

    order_type: Annotated[OrderType, choice(OrderType)] = Field(
        default=OrderType.MARKET,
        description="MARKET is filled at once, LIMIT at its `limit_price` or better, STOP beyond "
        "its `stop_price`, and STOP_LIMIT becomes a LIMIT there.",
        examples=["LIMIT"],
        exclude_if=partial(eq, OrderType.MARKET),
    )
    limit_price: Level | None = Field(
        default=None,
        validate_default=True,
        description="The worst price in rupees at which a LIMIT or STOP_LIMIT order is filled.",
        examples=[24_100.0],
        exclude_if=partial(is_, None),
    )
    stop_price: Level | None = Field(
        default=None,
        validate_default=True,
        description="Rupees from which a STOP or STOP_LIMIT order counts: above the price for "
        "BUY, below it for SELL.",
        examples=[24_300.0],
        exclude_if=partial(is_, None),
    )

    time_in_force: Annotated[TimeInForce, choice(TimeInForce)] = Field(
        default=TimeInForce.GTC,
        description="How long the order waits: DAY to the end of the session, GTC for 365 days. "
        "IOC does not wait: an order that is not filled at once is CANCELLED.",
        examples=["DAY"],
        exclude_if=partial(eq, TimeInForce.GTC),
    )

    @field_validator("time_in_force")
    @classmethod
    def _waits_for_its_stop(cls, value: TimeInForce, info: ValidationInfo) -> TimeInForce:
        order_type: OrderType | None = info.data.get("order_type")
        if value is TimeInForce.IOC and order_type is not None and order_type.has_stop:
            raise ValueError(f"must be DAY or GTC for {order_type}, which waits for its stop price")
        return value

    @field_validator("limit_price", "stop_price")
    @classmethod
    def _belongs_to_order_type(cls, price: Decimal | None, info: ValidationInfo) -> Decimal | None:
        order_type: OrderType | None = info.data.get("order_type")
        if order_type is None:
            # Invalid itself.
            return price
        is_limit = info.field_name == "limit_price"
        belongs = order_type.has_limit if is_limit else order_type.has_stop
        if belongs and price is None:
            raise ValueError(f"is required for {order_type}")
        if not belongs and price is not None:
            raise ValueError(f"does not belong to {order_type}")
        return price
