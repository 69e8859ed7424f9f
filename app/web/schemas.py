"""Building blocks of all schemas."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import Enum, StrEnum
from functools import partial
from operator import eq, is_
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.json_schema import SkipJsonSchema

from app.domain.candle import EARLIEST, IST, LATEST
from app.domain.money import PAISA, to_paisa
from app.domain.portfolio import DEFAULT_NAME, MAX_NAME, portfolio_name
from app.domain.suggestions import did_you_mean, listed

MAX_PRICE = 10_000_000
MAX_AMOUNT = 10**15
MAX_DIGITS = 30
MAX_PAGE = 500
MAXIMUM_BODY_BYTES = 64 * 1024


class RequestModel(BaseModel):
    """A body or query as clients send it: no missing fields, no extra ones, no conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ResponseModel(BaseModel):
    """A response as clients read it. `model_validate` accepts any object with its fields."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class NoBody(RequestModel):
    """{} or an empty body."""


def format_time(time: datetime) -> str:
    """Return a time as the API shows it: ISO 8601, UTC, milliseconds, Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_seconds(duration: timedelta) -> float:
    """Return a duration as the API shows it: seconds, to the millisecond."""
    return round(duration.total_seconds(), 3)


def _number(amount: Decimal) -> float:
    # Adding 0.0 turns -0.0 into 0.0.
    return float(amount) + 0.0


def to_json(value: Any) -> Any:
    """Return a value of the database as types of JSON."""
    match value:
        case Decimal():
            return _number(value)
        case datetime():
            return format_time(value)
        case Enum():
            return value.value
        case Mapping():
            return {key: to_json(item) for key, item in value.items()}
        case str():
            return value
        case Sequence():
            return [to_json(item) for item in value]
        case _:
            return value


def _whole_number(value: Any) -> int:
    # JSON Schema takes 1.0 for an integer, and many languages only have floats.
    if isinstance(value, Decimal) and value == value.to_integral_value():
        if value.adjusted() > MAX_DIGITS:
            raise ValueError("is too large")
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    return value


def _rupees(value: Any, minimum: int, maximum: int, *, exclusive: bool) -> Decimal:
    # Fractions in the body are parsed as Decimal, so anything else is not a number.
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError("must be a number")
    amount = Decimal(value)
    # Only compared: arithmetic on 1e9999999 raises Overflow.
    if not -MAX_AMOUNT <= amount <= MAX_AMOUNT:
        raise ValueError(f"must be at most {MAX_AMOUNT:,}")
    rounded = to_paisa(amount)
    if amount != rounded:
        raise ValueError(_two_decimals(amount, minimum, maximum, exclusive=exclusive))
    return rounded


def _two_decimals(amount: Decimal, minimum: int, maximum: int, *, exclusive: bool) -> str:
    """Return the fault, with the nearest valid amounts below and above."""
    below, above = (amount.quantize(PAISA, rounding) for rounding in (ROUND_FLOOR, ROUND_CEILING))
    taken = [
        f"{step:f}"
        for step in (below, above)
        if (minimum < step if exclusive else minimum <= step) and step <= maximum
    ]
    nearest = f"; nearest: {' and '.join(taken)}" if taken else ""
    return f"must have at most two decimals{nearest}"


def rupees(minimum: int, maximum: int, *, exclusive: bool = False) -> tuple[Any, ...]:
    """Return the annotations of an amount in a request: a JSON number with at most two decimals."""
    lower = {"exclusiveMinimum" if exclusive else "minimum": minimum}
    return (
        Field(gt=minimum, le=maximum) if exclusive else Field(ge=minimum, le=maximum),
        BeforeValidator(partial(_rupees, minimum=minimum, maximum=maximum, exclusive=exclusive)),
        WithJsonSchema({"type": "number", **lower, "maximum": maximum, "multipleOf": 0.01}),
    )


def whole_number(minimum: int, maximum: int) -> tuple[Any, ...]:
    """Return the annotations of a count in a request: a JSON number such as 3 or 3.0."""
    return (
        Field(ge=minimum, le=maximum),
        BeforeValidator(_whole_number),
        WithJsonSchema({"type": "integer", "minimum": minimum, "maximum": maximum}),
    )


def choice(members: Iterable[StrEnum], *, as_written: Collection[str] = ()) -> BeforeValidator:
    """Return a validator for one of the members in any case, of `as_written` in its own case."""
    names = [member.value for member in members]
    by_plain_name = {name.casefold(): name for name in names}

    def find(value: Any) -> Any:
        name = value if isinstance(value, str) else ""
        match = name if name in names else by_plain_name.get(name.casefold())
        if match is None or (name in as_written and name not in names):
            raise ValueError(f"must be {listed(names)}{did_you_mean(name, names)}")
        return match

    return BeforeValidator(find)


def one_of(*members: StrEnum) -> tuple[Any, ...]:
    """Return the annotations of a field that takes only some members of a kind, in any case."""
    names = [member.value for member in members]
    return choice(members), WithJsonSchema({"type": "string", "enum": names})


# Clients that leave `+` unencoded in a query send a space.
_UNENCODED_PLUS = re.compile(r"(?<=[0-9]) (?=[0-9]{2}:?[0-9]{2}$)")


def _timestamp(text: Any) -> datetime:
    try:
        if re.fullmatch(r"-?[0-9]+", text):
            return datetime.fromtimestamp(int(text), UTC)
        return _start_of_day(text) or _date_and_time(text.upper())
    except (ValueError, OverflowError, OSError):
        raise ValueError("must be a time in ISO 8601, a date, or seconds since 1970") from None


def _start_of_day(text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(), IST)
    except ValueError:
        return None


def _date_and_time(text: str) -> datetime:
    if "T" in text:
        text = _UNENCODED_PLUS.sub("+", text)
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


# Control characters, line separators, what reverses the text around it, and what is never seen. The
# joiners U+200C and U+200D are not among them: Indian scripts and emoji need them.
_SHOWN = r"^[^\u0000-\u001f\u007f-\u009f\u200b\u2028-\u202e\u2060-\u2069\ufeff]*$"


def _shown(text: str) -> str:
    # fullmatch: to match, $ is also the place before a line end.
    if not re.fullmatch(_SHOWN, text):
        raise ValueError("must not contain line breaks, control characters or invisible ones")
    return text


# The annotations of text that users give and that is shown in one line: in lists, emails and CSV.
ONE_LINE = (AfterValidator(_shown), Field(json_schema_extra={"pattern": _SHOWN}))


def _portfolio_name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return portfolio_name(value)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


# Types of requests: a price level, a symbol or alias, and the page of a list.
Level = Annotated[Decimal, *rupees(0, MAX_PRICE, exclusive=True)]
# The default is excluded from the fingerprint, so requests of clients that do not know it match.
PortfolioName = Annotated[
    str,
    BeforeValidator(_portfolio_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_NAME}),
    Field(
        description="The name of the portfolio, in any case.",
        examples=[DEFAULT_NAME],
        exclude_if=partial(eq, DEFAULT_NAME),
    ),
]
SymbolName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=40),
    Field(description="A symbol or alias in any case.", examples=["NIFTY"]),
]
SymbolFilter = Annotated[
    SymbolName | None, Field(description="Only results of this symbol or alias.")
]
PageSize = Annotated[
    int, Field(ge=1, le=MAX_PAGE, description="The maximum number of results.", examples=[50])
]
PageCursor = Annotated[
    Annotated[int, Field(ge=1, le=2**53)] | None,
    Field(description="The `next_cursor` of the previous page.", examples=[51]),
]
SeasonNumber = Annotated[
    Annotated[int, Field(ge=1, le=2**53)] | None,
    Field(description="The number of a season of it; the current one if left out.", examples=[1]),
]


class PortfolioQuery(RequestModel):
    portfolio: PortfolioName = DEFAULT_NAME


class SeasonQuery(PortfolioQuery):
    season: SeasonNumber = None


# A time in a query: ISO 8601 (UTC without a zone), a date (midnight in India), or seconds since
# 1970 as chart libraries count them.
TimestampParam = Annotated[
    datetime,
    BeforeValidator(_timestamp),
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

# Types of responses.
Symbol = Annotated[str, Field(description="The canonical symbol.", examples=["^NSEI"])]
UserId = Annotated[
    str, Field(description="The `client_id` of its owner.", examples=["asha@example.com"])
]
ResultMessage = Annotated[
    str, Field(description="What was done, in words for a person.", examples=["Trade exited"])
]
NextCursor = Annotated[
    str | None,
    Field(description="The `cursor` of the next page; null on the last.", examples=["51"]),
]
Money = Annotated[
    Decimal,
    PlainSerializer(_number, return_type=float),
    WithJsonSchema({"type": "number"}, mode="serialization"),
]
# What a response lacks if it is unknown.
_IF_KNOWN = Field(default=None, exclude_if=partial(is_, None), json_schema_extra=_without_default)
MoneyIfKnown = Annotated[Money | SkipJsonSchema[None], _IF_KNOWN]
CountIfKnown = Annotated[int | SkipJsonSchema[None], _IF_KNOWN]
TextIfKnown = Annotated[str | SkipJsonSchema[None], _IF_KNOWN]
AmountsIfKnown = Annotated[dict[str, Money] | SkipJsonSchema[None], _IF_KNOWN]
Timestamp = Annotated[
    datetime,
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-11-27T05:30:00.000Z"]},
        mode="serialization",
    ),
]
Duration = Annotated[
    timedelta,
    PlainSerializer(format_seconds, return_type=float),
    WithJsonSchema({"type": "number", "minimum": 0}, mode="serialization"),
]


class MessageResponse(ResponseModel):
    message: ResultMessage
