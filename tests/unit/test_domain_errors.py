"""The errors of trading: a message, a stable code, and details for programs."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.domain.errors import (
    AlreadyCrossed,
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    InsufficientMargin,
    InvalidRequest,
    MarketDataUnavailable,
    NotFound,
    PaperTradingError,
    Unauthenticated,
    Unavailable,
    WrongSideOfPrice,
)
from app.domain.trade_errors import TradeNotActive


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (PaperTradingError, "error"),
        (InvalidRequest, "validation_error"),
        (Unauthenticated, "unauthorized"),
        (Forbidden, "forbidden"),
        (NotFound, "not_found"),
        (Conflict, "conflict"),
        (Unavailable, "unavailable"),
        (MarketDataUnavailable, "market_data_unavailable"),
        (DatabaseUnavailable, "database_unavailable"),
    ],
)
def test_each_kind_of_error_has_its_own_code(kind: type[PaperTradingError], code: str) -> None:
    error = kind("What happened.")

    assert (error.code, error.message, str(error)) == (code, "What happened.", "What happened.")
    assert error.details == {}


def test_an_error_may_have_a_more_specific_code() -> None:
    assert NotFound("No such trade.", code="trade_not_found").code == "trade_not_found"
    assert NotFound("Nothing.").code == "not_found"


def test_an_error_has_its_own_details() -> None:
    details = {"field": "is missing"}
    error = InvalidRequest("Bad.", details=details)
    details.clear()

    assert error.details == {"field": "is missing"}


def test_insufficient_margin_names_the_available_and_the_required_one() -> None:
    error = InsufficientMargin(Decimal("5000.10"), Decimal("4999.99"), 20, below=19)

    assert error.code == "insufficient_margin"
    assert error.message == "This trade needs a margin of 5000.10, and 4999.99 is available."
    assert error.details == {
        "required_margin": Decimal("5000.10"),
        "available_margin": Decimal("4999.99"),
        "param": "quantity",
        "given": 20,
        "below": 19,
    }


def test_a_level_on_the_wrong_side_is_reported_with_the_price() -> None:
    error = WrongSideOfPrice(
        "target_price", Decimal(99), "above", Decimal(100), nearest=Decimal("100.05")
    )

    assert error.code == "wrong_side_of_price"
    assert error.message == "Target price 99 must be above the price, which is 100."
    assert error.details == {
        "target_price": "must be above 100",
        "price": Decimal(100),
        "param": "target_price",
        "given": Decimal(99),
        "above": Decimal("100.05"),
    }


def test_an_alert_that_would_fire_immediately_is_reported_with_the_price() -> None:
    error = AlreadyCrossed("below", Decimal(110), Decimal(100))

    assert (error.code, isinstance(error, InvalidRequest)) == ("already_crossed", True)
    assert error.message == "The price is 100 already, so an alert below 110 would fire now."
    assert error.details == {"below": "must be below 100", "price": Decimal(100)}


def test_a_closed_trade_is_reported_with_its_outcome() -> None:
    trade = {"status": "TARGET_HIT", "pnl": Decimal("12.50")}
    error = TradeNotActive(trade)

    assert isinstance(error, Conflict)
    assert error.code == "trade_not_active"
    assert error.message == "This trade is TARGET_HIT and can no longer be exited."
    assert error.details == {**trade, "trade": trade}
    waiting = TradeNotActive({"status": "PENDING", "pnl": None})
    assert waiting.message == "This trade is PENDING and holds nothing yet."


@pytest.mark.parametrize("kind", [MarketDataUnavailable, DatabaseUnavailable])
def test_an_outage_says_when_to_retry(kind: type[Unavailable]) -> None:
    assert kind("Not now.").retry_after_seconds > 0
