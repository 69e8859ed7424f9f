"""The request of a modification."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_serializer, model_validator

from app.domain.modification import LEVEL_FIELDS, ORDER_FIELDS, TRAILING_FIELDS
from app.domain.order import MAX_QUANTITY, TimeInForce
from app.trades.trailing_schemas import NOT_BOTH, Percent, require_one_distance
from app.web.schemas import Level, RequestModel, one_of, whole_number

FIELDS = LEVEL_FIELDS | ORDER_FIELDS | TRAILING_FIELDS


class ChangeTradeRequest(RequestModel):
    """What is left out stays as it is.

    A pending order takes every field, an ACTIVE trade `stop_loss`, `target_price` and those of
    a trailing stop.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": [name]} for name in sorted(FIELDS)],
            "not": NOT_BOTH,
        }
    )

    limit_price: Level | None = Field(
        default=None,
        description="The new limit, in rupees, of an order with a limit.",
        examples=[24_150.0],
    )
    stop_price: Level | None = Field(
        default=None,
        description="The new stop, in rupees, of an order with a stop that was not reached.",
        examples=[24_300.0],
    )
    quantity: Annotated[int, *whole_number(1, MAX_QUANTITY)] | None = Field(
        default=None, description="The new number of units of a pending order.", examples=[3]
    )
    time_in_force: Annotated[TimeInForce, *one_of(TimeInForce.DAY, TimeInForce.GTC)] | None = Field(
        default=None,
        description="How long a waiting order stays in force from now: DAY or GTC.",
        examples=["DAY"],
    )
    stop_loss: Level | None = Field(
        default=None,
        description="Rupees at which to close with a loss; null removes it.",
        examples=[23_968.45],
    )
    target_price: Level | None = Field(
        default=None,
        description="Rupees at which to close with a profit; null removes it.",
        examples=[24_452.66],
    )
    trailing_offset: Level | None = Field(
        default=None,
        description="Rupees between the best price from now on and the trailing stop; null removes "
        "the trailing stop.",
        examples=[120.0],
    )
    trailing_pct: Percent | None = Field(
        default=None,
        description="The distance in percent of the best price, less than 100; null removes the "
        "trailing stop.",
        examples=[0.5],
    )
    trailing_step: Level | None = Field(
        default=None,
        description="The step in rupees: the best price counts in whole multiples of it; null for "
        "a tick.",
        examples=[5.0],
    )
    version: Annotated[int, *whole_number(0, 2**31)] | None = Field(
        default=None,
        description="The `version` that you have seen. If the trade has another one, nothing is "
        "changed.",
        examples=[0],
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.to_changes():
            raise ValueError("must have a field to change")
        require_one_distance(self.trailing_offset, self.trailing_pct)
        return self

    @property
    def seen_version(self) -> int | None:
        return self.version if "version" in self.model_fields_set else None

    def to_changes(self) -> dict[str, Any]:
        """Return the terms that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set - {"version"}}

    @model_serializer
    def _as_sent(self) -> dict[str, Any]:
        # A level that is null is another request than one that is left out.
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}
