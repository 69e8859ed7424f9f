"""Brackets: their P&L, the levels they accept, and the prices that close them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from app.domain.errors import WrongSideOfPrice
from app.domain.fill import ExitReason
from app.domain.quote import Source
from app.domain.side import TradeType
from app.domain.trade import STATUS_AFTER, TradeStatus
from tests.support.quotes import NOON, bracket, quote

BUY, SELL = TradeType.BUY, TradeType.SELL


def test_a_buy_earns_when_the_price_rises() -> None:
    assert bracket(BUY, 3).pnl_at(Decimal("110.50")) == Decimal("31.50")


def test_a_buy_loses_when_the_price_falls() -> None:
    assert bracket(BUY, 3).pnl_at(Decimal("99.99")) == Decimal("-0.03")


def test_a_sell_earns_when_the_price_falls() -> None:
    assert bracket(SELL, 2).pnl_at(Decimal("90")) == Decimal("20")


def test_a_sell_loses_when_the_price_rises() -> None:
    assert bracket(SELL, 2).pnl_at(Decimal("110")) == Decimal("-20")


@pytest.mark.parametrize("trade_type", TradeType)
def test_closing_at_the_entry_price_earns_a_zero_without_sign(trade_type: TradeType) -> None:
    assert str(bracket(trade_type, 7, "100.00").pnl_at(Decimal("100.00"))) == "0.00"


def test_a_bracket_keeps_the_quote_of_its_entry() -> None:
    opened = bracket(BUY, 5, "100.25", source=Source.YAHOO)

    assert (opened.quantity, opened.entry_price) == (5, Decimal("100.25"))
    assert (opened.entry_source, opened.entry_timestamp) == (Source.YAHOO, NOON)


@pytest.mark.parametrize(
    ("trade_type", "levels", "field", "rule"),
    [
        (BUY, {"stop_loss": 101}, "stop_loss", "below"),
        (BUY, {"stop_loss": 100}, "stop_loss", "below"),
        (BUY, {"target_price": 99}, "target_price", "above"),
        (BUY, {"target_price": 100}, "target_price", "above"),
        (SELL, {"stop_loss": 99}, "stop_loss", "above"),
        (SELL, {"stop_loss": 100}, "stop_loss", "above"),
        (SELL, {"target_price": 101}, "target_price", "below"),
        (SELL, {"target_price": 100}, "target_price", "below"),
    ],
)
def test_the_refusal_of_a_level_on_the_wrong_side_names_the_price(
    trade_type: TradeType, levels: dict[str, int], field: str, rule: str
) -> None:
    with pytest.raises(WrongSideOfPrice) as refusal:
        bracket(
            trade_type,
            stop_loss=levels.get("stop_loss"),
            target_price=levels.get("target_price"),
        )

    name = {"stop_loss": "Stop loss", "target_price": "Target price"}[field]
    assert refusal.value.message == (
        f"{name} {levels[field]} must be {rule} the price, which is 100."
    )
    details = {field: f"must be {rule} 100", "price": Decimal(100)}
    assert refusal.value.details == details | {"param": field, "given": levels[field]}


@pytest.mark.parametrize(
    ("trade_type", "stop_loss", "target_price", "below", "above"),
    [(BUY, 90, 120, 90, 120), (SELL, 120, 90, 90, 120)],
)
def test_the_triggers_are_the_levels_in_order_of_price(
    trade_type: TradeType, stop_loss: int, target_price: int, below: int, above: int
) -> None:
    opened = bracket(trade_type, stop_loss=stop_loss, target_price=target_price)

    assert opened.trigger_below == below
    assert opened.trigger_above == above


@pytest.mark.parametrize("trade_type", TradeType)
def test_a_bracket_without_levels_is_never_triggered(trade_type: TradeType) -> None:
    opened = bracket(trade_type)

    assert (opened.trigger_below, opened.trigger_above) == (None, None)
    assert opened.triggered_by(quote("0.01")) is None
    assert opened.triggered_by(quote(1_000_000)) is None


@pytest.mark.parametrize(
    ("trade_type", "price", "reason", "pnl"),
    [
        (BUY, 90, ExitReason.STOP_LOSS, -20),
        (BUY, 85, ExitReason.STOP_LOSS, -30),
        (BUY, 120, ExitReason.TARGET, 40),
        (BUY, 130, ExitReason.TARGET, 40),
        (SELL, 120, ExitReason.STOP_LOSS, -40),
        (SELL, 125, ExitReason.STOP_LOSS, -50),
        (SELL, 90, ExitReason.TARGET, 20),
        (SELL, 80, ExitReason.TARGET, 20),
    ],
)
def test_a_quote_at_or_past_a_level_closes_a_stop_at_the_quote_and_a_target_at_its_price(
    trade_type: TradeType, price: int, reason: ExitReason, pnl: int
) -> None:
    buying = trade_type is BUY
    opened = bracket(
        trade_type, 2, stop_loss=90 if buying else 120, target_price=120 if buying else 90
    )
    tick = quote(price)

    exit = opened.triggered_by(tick)

    assert exit is not None
    is_target = reason is ExitReason.TARGET
    assert (exit.reason, exit.pnl) == (reason, Decimal(pnl))
    assert exit.price == (opened.target_price if is_target else Decimal(price))
    assert exit.quote is tick


@pytest.mark.parametrize("price", ["90.01", "100", "119.99"])
def test_a_quote_between_the_levels_closes_nothing(price: str) -> None:
    assert bracket(BUY, stop_loss=90, target_price=120).triggered_by(quote(price)) is None


@pytest.mark.parametrize("source", [Source.YAHOO, Source.ANGEL_ONE])
def test_a_trade_opened_at_a_real_price_does_not_close_at_a_mock_one(source: Source) -> None:
    opened = bracket(BUY, stop_loss=90, source=source)

    assert not opened.may_exit_at(quote(80, Source.MOCK))
    assert opened.triggered_by(quote(80, Source.MOCK)) is None
    assert opened.triggered_by(quote(80, Source.REPLAY)) is not None
    assert opened.triggered_by(quote(80, source)) is not None


@pytest.mark.parametrize("source", [Source.MOCK, Source.REPLAY])
def test_a_trade_opened_at_a_simulated_price_closes_at_any_price(source: Source) -> None:
    opened = bracket(BUY, source=source)

    assert all(opened.may_exit_at(quote(80, each)) for each in Source)


@pytest.mark.parametrize(
    ("entry", "tick"),
    [
        (Source.MOCK, Source.MOCK),
        (Source.REPLAY, Source.REPLAY),
        (Source.YAHOO, Source.YAHOO),
        (Source.MOCK, Source.REPLAY),
        (Source.YAHOO, Source.REPLAY),
    ],
)
def test_a_stop_loss_closes_also_after_the_clock_was_set_back(entry: Source, tick: Source) -> None:
    opened = bracket(BUY, stop_loss=90, source=entry)

    assert opened.triggered_by(quote(80, tick, NOON - timedelta(hours=1))) is not None


def test_an_exit_of_the_user_needs_no_level() -> None:
    exit = bracket(SELL, 4).exit_at(quote(95), ExitReason.USER)

    assert (exit.reason, exit.price, exit.pnl) == (ExitReason.USER, Decimal(95), Decimal(20))


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (ExitReason.USER, TradeStatus.CLOSED),
        (ExitReason.STOP_LOSS, TradeStatus.STOP_LOSS_HIT),
        (ExitReason.TARGET, TradeStatus.TARGET_HIT),
    ],
)
def test_each_exit_reason_has_its_own_status(reason: ExitReason, status: TradeStatus) -> None:
    assert STATUS_AFTER[reason] is status


def test_the_values_of_the_domain_are_those_of_the_contract() -> None:
    assert {each.value for each in TradeType} == {"BUY", "SELL"}
    assert {tradestatu.value for tradestatu in TradeStatus} == {
        "PENDING",
        "ACTIVE",
        "CLOSED",
        "STOP_LOSS_HIT",
        "TARGET_HIT",
        "TRAILING_STOP_HIT",
        "SQUARED_OFF",
        "REJECTED",
        "CANCELLED",
        "EXPIRED",
        "LIQUIDATED",
    }
    assert {each.value for each in ExitReason} == {
        "user",
        "stop_loss",
        "trailing_stop",
        "target",
    }
    assert {each.value for each in Source} == {"angel_one", "yahoo", "replay", "mock"}
