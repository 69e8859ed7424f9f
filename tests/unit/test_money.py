"""Rupees in whole paise, the margin of a trade, and the position of open trades."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.domain.money import format_rupees, is_whole_paise, parse_price, required_margin, to_paisa
from app.domain.position import Position
from app.domain.quote import Source
from app.domain.side import TradeType
from tests.support.quotes import bracket


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        ("1.005", "1.01"),
        ("1.004999", "1.00"),
        ("-1.005", "-1.01"),
        ("2.675", "2.68"),
        ("7", "7.00"),
    ],
)
def test_half_a_paisa_is_rounded_away_from_zero(amount: str, rounded: str) -> None:
    assert str(to_paisa(Decimal(amount))) == rounded


@pytest.mark.parametrize(
    ("amount", "whole"), [("1", True), ("1.1", True), ("1.10", True), ("1.100", True)]
)
def test_trailing_zeros_are_accepted(amount: str, whole: bool) -> None:
    assert is_whole_paise(Decimal(amount)) is whole


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("0", "₹0.00"),
        ("-0.00", "₹0.00"),
        ("-0.001", "₹0.00"),
        ("0.5", "₹0.50"),
        ("999.99", "₹999.99"),
        ("1000", "₹1,000.00"),
        ("-1000.5", "-₹1,000.50"),
        ("12345", "₹12,345.00"),
        ("123456.50", "₹1,23,456.50"),
        ("1234567", "₹12,34,567.00"),
        ("10000000", "₹1,00,00,000.00"),
        ("1E+12", "₹10,00,00,00,00,000.00"),
    ],
)
def test_rupees_are_formatted_with_indian_digit_groups(amount: str, written: str) -> None:
    assert format_rupees(Decimal(amount)) == written
    assert format_rupees(Decimal(amount), "Rs ") == written.replace("₹", "Rs ")


@pytest.mark.parametrize("amount", ["0.001", "-1.005", "99.999"])
def test_a_third_decimal_is_a_fraction_of_a_paisa(amount: str) -> None:
    assert not is_whole_paise(Decimal(amount))


def test_the_margin_is_the_rate_times_the_value() -> None:
    assert required_margin(Decimal("25000.05"), 3, Decimal("0.2")) == Decimal("15000.03")


def test_half_a_paisa_of_margin_is_rounded_up() -> None:
    assert required_margin(Decimal("0.05"), 1, Decimal("0.1")) == Decimal("0.01")
    assert required_margin(Decimal("0.04"), 1, Decimal("0.1")) == Decimal("0.00")


def test_only_prices_of_an_exchange_are_real() -> None:
    real = {each for each in Source if each.is_real}

    assert real == {Source.ANGEL_ONE, Source.YAHOO}


def test_a_sell_is_negative_in_a_position() -> None:
    sold = Position.of(bracket(TradeType.SELL, 4, 50))

    assert (sold.trades, sold.quantity, sold.cost) == (1, -4, Decimal(-200))


def test_a_buy_and_a_sell_at_one_price_are_two_trades_without_exposure() -> None:
    both = Position.of(bracket(TradeType.BUY, 4, 50)) + Position.of(bracket(TradeType.SELL, 4, 50))

    assert (both.trades, both.quantity, both.cost) == (2, 0, Decimal(0))
    assert both.pnl_at(Decimal(1_000)) == 0


def test_closing_a_trade_removes_it_from_the_position() -> None:
    opened = Position.of(bracket(TradeType.BUY, 4, "50.05"))

    assert opened + -opened == Position()


def test_a_position_earns_what_its_trades_earn() -> None:
    held = Position.of(bracket(TradeType.BUY, 10, 100)) + Position.of(
        bracket(TradeType.BUY, 5, 110)
    )

    assert held.pnl_at(Decimal(105)) == 10 * 5 - 5 * 5


def test_an_empty_position_earns_a_zero_without_sign() -> None:
    assert str(Position().pnl_at(Decimal("100.00"))) == "0.00"
    assert str((-Position()).pnl_at(Decimal("100.00"))) == "0.00"


@pytest.mark.parametrize("value", [0, 0.0, -1, "0.004", "1e12", 10**8, 10**400, 1e300])
@pytest.mark.parametrize("form", [lambda value: value, str])
def test_a_number_outside_the_price_range_is_not_a_price(
    value: object, form: Callable[[object], object]
) -> None:
    assert parse_price(form(value)) is None


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, [], {}, "", "cheap", "NaN", "sNaN", "Infinity", "-inf"),
        *(float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")),
    ],
)
def test_a_value_that_is_not_a_number_is_not_a_price(value: object) -> None:
    assert parse_price(value) is None


@pytest.mark.parametrize("value", [1400.0499954, "1400.05", Decimal("1400.049")])
def test_a_price_is_in_whole_paise(value: object) -> None:
    assert parse_price(value) == Decimal("1400.05")
