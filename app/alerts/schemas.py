"""The requests and responses of the alert routes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from app.domain.alert import AlertStatus, Direction
from app.domain.quote import Source
from app.domain.triggers import SettledFrom
from app.models import Alert
from app.web.schemas import (
    Level,
    Money,
    NextCursor,
    PageCursor,
    PageSize,
    RequestModel,
    ResponseModel,
    Symbol,
    SymbolFilter,
    SymbolName,
    Timestamp,
    UserId,
    choice,
)


def _gives(field: str) -> dict[str, Any]:
    return {"required": [field], "properties": {field: {"type": "number"}}}


class CreateAlertRequest(RequestModel):
    """An alert at the first price at or above `above`, or at or below `below`."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [_gives("above"), _gives("below")]})

    symbol: SymbolName
    above: Level | None = Field(
        default=None, description="Fire at a price at or above this, in rupees.", examples=[24_500]
    )
    below: Level | None = Field(
        default=None, description="Fire at a price at or below this, in rupees.", examples=[23_900]
    )

    @model_validator(mode="after")
    def _has_a_level(self) -> CreateAlertRequest:
        if [self.above, self.below] == [None, None]:
            raise ValueError("give above, below, or both")
        return self


class ChangeAlertRequest(RequestModel):
    """What is left out stays as it is; null removes a level. One of them stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "minProperties": 1,
            "not": {
                "required": ["above", "below"],
                "properties": {"above": {"type": "null"}, "below": {"type": "null"}},
            },
        }
    )

    above: Level | None = Field(
        default=None, description="Fire at a price at or above this, in rupees.", examples=[24_600]
    )
    below: Level | None = Field(
        default=None, description="Fire at a price at or below this, in rupees.", examples=[23_800]
    )

    @property
    def levels(self) -> dict[str, Decimal | None]:
        """The levels that are given."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}

    @model_validator(mode="after")
    def _gives_a_level(self) -> ChangeAlertRequest:
        if not self.model_fields_set:
            raise ValueError("give above, below, or both")
        return self


class AlertView(ResponseModel):
    """An alert. A TRIGGERED one has the price that fired it."""

    alert_id: str = Field(description="The id of the alert.", examples=["6744a1f0c2d5e8b7a9f01234"])
    user_id: UserId
    symbol: Symbol
    above: Money | None = Field(
        description="It fires at a price at or above this, in rupees.", examples=[24_500.0]
    )
    below: Money | None = Field(
        description="It fires at a price at or below this, in rupees.", examples=[23_900.0]
    )
    status: AlertStatus = Field(description="Whether it still waits.", examples=["ACTIVE"])
    created_at: Timestamp = Field(description="When it was set, UTC.")
    direction: Direction | None = Field(
        default=None, description="Which level the price reached; null before.", examples=["above"]
    )
    price: Money | None = Field(
        default=None,
        description="The price that fired it, in rupees; null before.",
        examples=[24_500.35],
    )
    source: Source | None = Field(
        default=None, description="The source of that price; null before.", examples=["mock"]
    )
    timestamp: Timestamp | None = Field(
        default=None, description="When the source made that price, UTC; null before."
    )
    settled_from: SettledFrom | None = Field(
        default=None,
        description="How a missed price was found; null if a quote fired it in time.",
        examples=["gap"],
    )
    triggered_at: Timestamp | None = Field(
        default=None, description="When it fired, UTC; null before."
    )

    @classmethod
    def of(cls, alert: Alert) -> AlertView:
        trigger = alert.trigger
        return cls(
            alert_id=str(alert.id),
            user_id=alert.user_id,
            symbol=alert.symbol,
            above=alert.condition.above,
            below=alert.condition.below,
            status=alert.status,
            created_at=alert.created_at,
            direction=trigger.direction if trigger else None,
            price=trigger.quote.price if trigger else None,
            source=trigger.quote.source if trigger else None,
            timestamp=trigger.quote.timestamp if trigger else None,
            settled_from=trigger.settled_from if trigger else None,
            triggered_at=alert.triggered_at,
        )


class AlertsQuery(RequestModel):
    status: Annotated[AlertStatus, choice(AlertStatus)] | None = Field(
        default=None, description="Only alerts of this status.", examples=["ACTIVE"]
    )
    symbol: SymbolFilter = None
    limit: PageSize = 50
    cursor: PageCursor = None


class AlertsResponse(ResponseModel):
    alerts: list[AlertView] = Field(description="The alerts, newest first.")
    next_cursor: NextCursor
