"""What the alert routes take and answer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, model_validator

from app.domain.alert import AlertStatus, Direction
from app.domain.bracket import SettledFrom
from app.domain.quote import Source
from app.models import Alert
from app.web.schemas import (
    Cursor,
    Level,
    Money,
    PageSize,
    RequestModel,
    ResponseModel,
    SymbolName,
    Timestamp,
    choice,
)


def _gives(field: str) -> dict[str, Any]:
    return {"required": [field], "properties": {field: {"type": "number"}}}


class CreateAlertRequest(RequestModel):
    """An alert at a price at or above `above`, or at or below `below`, whichever comes first."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [_gives("above"), _gives("below")]})

    symbol: SymbolName
    above: Level | None = None
    below: Level | None = None

    @model_validator(mode="after")
    def _has_a_level(self) -> CreateAlertRequest:
        if [self.above, self.below] == [None, None]:
            raise ValueError("give above, below, or both")
        return self


class AlertView(ResponseModel):
    """An alert. What crossed it, and when, is for a TRIGGERED one."""

    alert_id: str
    user_id: str
    symbol: str
    above: Money | None
    below: Money | None
    status: AlertStatus
    created_at: Timestamp
    direction: Direction | None = None
    price: Money | None = None
    source: Source | None = None
    timestamp: Timestamp | None = None
    settled_from: SettledFrom | None = None
    triggered_at: Timestamp | None = None

    @classmethod
    def of(cls, alert: Alert) -> AlertView:
        crossing = alert.crossing
        return cls(
            alert_id=str(alert.id),
            user_id=alert.user_id,
            symbol=alert.symbol,
            above=alert.levels.above,
            below=alert.levels.below,
            status=alert.status,
            created_at=alert.created_at,
            direction=crossing.direction if crossing else None,
            price=crossing.quote.price if crossing else None,
            source=crossing.quote.source if crossing else None,
            timestamp=crossing.quote.timestamp if crossing else None,
            settled_from=crossing.settled_from if crossing else None,
            triggered_at=alert.triggered_at,
        )


class AlertsQuery(RequestModel):
    status: Annotated[AlertStatus, choice(AlertStatus)] | None = None
    symbol: SymbolName | None = None
    limit: PageSize = 50
    cursor: Cursor | None = None


class AlertsResponse(ResponseModel):
    alerts: list[AlertView]
    next_cursor: str | None
