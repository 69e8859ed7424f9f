"""Trailing stops in requests and responses: the fields that trades and their changes share."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from operator import is_
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, WithJsonSchema, model_validator

from app.domain.trailing import TrailingTerms, Unit
from app.web.schemas import Level, Money, RequestModel, ResponseModel, Timestamp, rupees

Percent = Annotated[
    Decimal,
    *rupees(0, 100, exclusive=True),
    WithJsonSchema(
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100, "multipleOf": 0.01}
    ),
]


def _gives(*fields: str) -> dict[str, Any]:
    return {"required": list(fields), "properties": {each: {"type": "number"} for each in fields}}


NOT_BOTH = _gives("trailing_offset", "trailing_pct")


def require_one_distance(offset: Decimal | None, percent: Decimal | None) -> None:
    """Raise ValueError for two distances, and for one of the whole price."""
    if offset is not None and percent is not None:
        raise ValueError("give trailing_offset or trailing_pct, not both")
    if percent is not None and percent >= 100:
        raise ValueError("trailing_pct must be less than 100")


class TrailingRequest(RequestModel):
    # Excluded from the fingerprint if absent, so requests of clients that do not know them match.
    model_config = ConfigDict(
        json_schema_extra={
            "not": NOT_BOTH,
            "anyOf": [
                {"not": _gives("trailing_step")},
                _gives("trailing_offset"),
                _gives("trailing_pct"),
            ],
        }
    )

    trailing_offset: Level | None = Field(
        default=None,
        exclude_if=partial(is_, None),
        description="Rupees between the best price since the entry and a stop that follows it.",
        examples=[120.0],
    )
    trailing_pct: Percent | None = Field(
        default=None,
        exclude_if=partial(is_, None),
        description="The distance in percent of the best price, less than 100, instead of "
        "`trailing_offset`.",
        examples=[0.5],
    )
    trailing_step: Level | None = Field(
        default=None,
        exclude_if=partial(is_, None),
        description="The step in rupees: the best price counts in whole multiples of it; by "
        "default a tick.",
        examples=[5.0],
    )

    @model_validator(mode="after")
    def _has_one_distance(self) -> Self:
        require_one_distance(self.trailing_offset, self.trailing_pct)
        distances = [self.trailing_offset, self.trailing_pct]
        if self.trailing_step is not None and distances == [None, None]:
            raise ValueError("trailing_step needs a trailing_offset or a trailing_pct")
        return self


class PricePointView(ResponseModel):
    """The best price that a trailing stop has followed, or had when it fired."""

    price: Money = Field(description="The price in rupees.", examples=[24_330.55])
    time: Timestamp = Field(description="When its source made it, UTC.")


def trailing_fields(terms: TrailingTerms | None) -> dict[str, Any]:
    """Return the fields of a view by name; all None without a trailing stop."""
    is_percent = terms is not None and terms.unit is Unit.PERCENT
    distance = terms.distance if terms else None
    return {
        "trailing_offset": None if is_percent else distance,
        "trailing_pct": distance if is_percent else None,
        "trailing_step": terms.step if terms else None,
    }
