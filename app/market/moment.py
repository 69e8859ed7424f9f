"""A time as the query of a request names it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from app.domain.candle import IST
from app.market_data.candle_cache import EARLIEST, LATEST

_RULE = "must be a time in ISO 8601, a date, or seconds since 1970"
# A `+` that was not written as %2B arrives as a space.
_LOST_PLUS = re.compile(r"(?<=[0-9]) (?=[0-9]{2}:?[0-9]{2}$)")


def _parse(text: Any) -> datetime:
    try:
        if re.fullmatch(r"-?[0-9]+", text):
            return datetime.fromtimestamp(int(text), UTC)
        return _parse_date(text) or _parse_time(text.upper())
    except (ValueError, OverflowError, OSError):
        raise ValueError(_RULE) from None


def _parse_date(text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(), IST)
    except ValueError:
        return None


def _parse_time(text: str) -> datetime:
    if "T" in text:
        text = _LOST_PLUS.sub("+", text)
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


# ISO 8601, UTC where it names no zone; a date is its beginning in India, where the exchanges
# are; digits alone are seconds since 1970, as libraries for charts count.
Moment = Annotated[
    datetime,
    BeforeValidator(_parse),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "format": "date"},
                {
                    "type": "integer",
                    "minimum": int(EARLIEST.timestamp()),
                    "maximum": int(LATEST.timestamp()),
                },
            ]
        }
    ),
]
