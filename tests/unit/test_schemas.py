"""The types of the schemas: times and amounts, and their JSON form."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.domain.side import TradeType
from app.web.schemas import Money, NoBody, Timestamp, format_time, rupees, to_json

KOLKATA = timezone(timedelta(hours=5, minutes=30))
AMOUNT: TypeAdapter[Any] = TypeAdapter(Annotated[Decimal, *rupees(0, 1_000, exclusive=True)])
MARGIN: TypeAdapter[Any] = TypeAdapter(Annotated[Decimal, *rupees(10, 1_000)])


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        (datetime(2026, 11, 23, 3, 45, tzinfo=UTC), "2026-11-23T03:45:00.000Z"),
        (datetime(2026, 11, 23, 9, 15, 0, 250_999, tzinfo=KOLKATA), "2026-11-23T03:45:00.250Z"),
    ],
)
def test_a_time_is_shown_in_utc_to_the_millisecond(time: datetime, shown: str) -> None:
    assert format_time(time) == shown


def test_a_document_becomes_json_values() -> None:
    document = {
        "price": Decimal("1400.05"),
        "at": datetime(2026, 11, 23, tzinfo=UTC),
        "side": TradeType.SELL,
        "levels": (Decimal("0.10"), None),
        "nested": {"pnl": [Decimal("-1.00")], "open": True},
        "name": "NIFTY",
        "count": 3,
    }

    assert json.loads(json.dumps(to_json(document))) == {
        "price": 1400.05,
        "at": "2026-11-23T00:00:00.000Z",
        "side": "SELL",
        "levels": [0.1, None],
        "nested": {"pnl": [-1.0], "open": True},
        "name": "NIFTY",
        "count": 3,
    }


@pytest.mark.parametrize(
    ("given", "amount"),
    [(1, "1.00"), (Decimal("0.01"), "0.01"), (Decimal("1E+2"), "100.00"), (1_000, "1000.00")],
)
def test_an_amount_is_whole_paise(given: int | Decimal, amount: str) -> None:
    assert str(AMOUNT.validate_python(given)) == amount


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("10", "must be a number"),
        (True, "must be a number"),
        (1.5, "must be a number"),
        (None, "must be a number"),
        ({"$gt": 0}, "must be a number"),
        (Decimal("1.005"), "must have at most two decimals"),
        (Decimal("1e400"), "must be at most 1,000,000,000,000,000"),
        (Decimal("-1e400"), "must be at most 1,000,000,000,000,000"),
        (10**16, "must be at most 1,000,000,000,000,000"),
        (0, "greater than 0"),
        (-1, "greater than 0"),
        (1_001, "less than or equal to 1000"),
    ],
)
def test_an_invalid_amount_is_refused_with_the_reason(given: Any, fault: str) -> None:
    with pytest.raises(ValidationError, match=fault.replace("(", r"\(")):
        AMOUNT.validate_python(given)


def test_the_minimum_itself_is_accepted() -> None:
    assert MARGIN.validate_python(10) == 10
    with pytest.raises(ValidationError, match="greater than or equal to 10"):
        MARGIN.validate_python(Decimal("9.99"))


def test_the_schema_of_an_amount_describes_its_range() -> None:
    assert AMOUNT.json_schema() == {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1_000,
        "multipleOf": 0.01,
    }
    assert MARGIN.json_schema()["minimum"] == 10


def test_responses_have_numbers_and_times_in_json_form() -> None:
    money: TypeAdapter[Any] = TypeAdapter(Money)
    time: TypeAdapter[Any] = TypeAdapter(Timestamp)

    assert money.dump_json(Decimal("25000.05")) == b"25000.05"
    assert money.dump_json(Decimal("-0.00")) == b"0.0"
    assert time.dump_json(datetime(2026, 1, 2, tzinfo=UTC)) == b'"2026-01-02T00:00:00.000Z"'


def test_a_request_with_an_unknown_field_is_refused() -> None:
    assert NoBody.model_validate({}) == NoBody()
    with pytest.raises(ValidationError, match="Extra inputs"):
        NoBody.model_validate({"admin": True})
