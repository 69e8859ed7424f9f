"""What an order would cost and earn, and what its user should know before."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from app.domain.checks import Market
from app.domain.order import Order, OrderType, TimeInForce
from app.domain.preview import Estimate, order_warnings, price_warnings
from app.domain.quote import Source
from app.domain.side import TradeType
from tests.support.quotes import quote

BUY, SELL = TradeType.BUY, TradeType.SELL
RATE = Decimal("0.2")
AT_100 = Market(quote(100))
MONDAY = date(2026, 11, 30)


def order(trade_type: TradeType = BUY, /, **fields: Any) -> Order:
    return Order("X.NS", trade_type, 10, **fields)


def warned(order: Order, market: Market = AT_100) -> list[str]:
    found = order_warnings(order, market, Estimate.of(order, market, RATE))
    return [str(each.code) for each in found]


def estimate(order: Order) -> Estimate:
    found = Estimate.of(order, Market(quote(100)), RATE)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("trade_type", "stop_loss", "target_price"), [(BUY, 96, 110), (SELL, 104, 90)]
)
def test_loss_reward_and_their_ratio_are_those_of_the_levels(
    trade_type: TradeType, stop_loss: int, target_price: int
) -> None:
    levels: dict[str, Any] = {
        "stop_loss": Decimal(stop_loss),
        "target_price": Decimal(target_price),
    }
    found = estimate(order(trade_type, **levels))

    assert [found.entry_price, found.margin_required] == [100, 200]
    assert [found.loss_at_stop, found.reward_at_target] == [40, 100]
    assert found.reward_risk_ratio == Decimal("2.5")


@pytest.mark.parametrize("trade_type", TradeType)
def test_a_level_on_the_wrong_side_neither_loses_nor_earns(trade_type: TradeType) -> None:
    distance = trade_type.sign * 10
    levels: dict[str, Any] = {
        "stop_loss": Decimal(100 + distance),
        "target_price": Decimal(100 - distance),
    }
    found = estimate(order(trade_type, **levels))
    assert (found.loss_at_stop, found.reward_at_target) == (None, None)
    assert found.reward_risk_ratio is None


@pytest.mark.parametrize(
    ("terms", "stop_loss", "loss"),
    [
        ({"trailing_offset": Decimal(4)}, None, 40),
        ({"trailing_pct": Decimal(3)}, None, 30),
        # The tighter stop counts.
        ({"trailing_offset": Decimal(4)}, 98, 20),
        ({"trailing_offset": Decimal(4)}, 90, 40),
    ],
)
def test_a_trailing_stop_limits_the_loss_from_where_it_begins(
    terms: dict[str, Any], stop_loss: int | None, loss: int
) -> None:
    trailing = order(**terms, stop_loss=None if stop_loss is None else Decimal(stop_loss))
    found = Estimate.of(trailing, AT_100, RATE, trailing.trailing_terms(Decimal("0.10")))
    assert found is not None
    assert found.loss_at_stop == loss
    assert warned(trailing) == []


def test_a_level_alone_has_no_ratio() -> None:
    assert estimate(order(stop_loss=Decimal(90))).reward_risk_ratio is None
    assert estimate(order(target_price=Decimal(110))).reward_risk_ratio is None


def test_a_stop_limit_order_is_valued_at_its_worst_price() -> None:
    entry: dict[str, Any] = {"stop_price": Decimal(110), "limit_price": Decimal(112)}
    found = estimate(order(order_type=OrderType.STOP_LIMIT, stop_loss=Decimal(100), **entry))
    assert [found.entry_price, found.loss_at_stop] == [112, 120]


def test_a_market_order_without_a_price_has_no_estimate() -> None:
    assert Estimate.of(order(), Market(None), RATE) is None
    limit = order(order_type=OrderType.LIMIT, limit_price=Decimal(90), stop_loss=Decimal(80))
    assert Estimate.of(limit, Market(None), RATE) is not None
    assert warned(order(), Market(None)) == ["no_stop_loss"]


def test_a_loss_as_large_as_the_margin_is_no_warning() -> None:
    # The margin is a fifth: 20 a unit.
    for stop_loss, codes in (("80", []), ("79.90", ["loss_exceeds_margin"])):
        risky = order(stop_loss=Decimal(stop_loss))
        assert warned(risky) == codes


@pytest.mark.parametrize(
    ("limit_price", "time_in_force", "queued_for", "codes"),
    [
        (90, TimeInForce.GTC, None, []),
        (100, TimeInForce.GTC, None, ["fills_at_once"]),
        (100, TimeInForce.IOC, None, ["fills_at_once"]),
        (90, TimeInForce.IOC, None, ["ends_unfilled"]),
        (100, TimeInForce.GTC, MONDAY, ["queued"]),
    ],
)
def test_what_follows_a_limit_order_is_a_warning(
    limit_price: int, time_in_force: TimeInForce, queued_for: date | None, codes: list[str]
) -> None:
    limit = order(
        order_type=OrderType.LIMIT,
        limit_price=Decimal(limit_price),
        time_in_force=time_in_force,
        stop_loss=Decimal(89),
    )
    market = Market(quote(100), queued_for=queued_for)
    assert warned(limit, market) == codes
    found = Estimate.of(limit, market, RATE)
    assert found is not None
    ends = codes == ["ends_unfilled"]
    assert found.margin_required == (0 if ends else 2 * limit_price)


@pytest.mark.parametrize(
    ("source", "stale", "unconfirmed", "codes"),
    [
        (Source.ANGEL_ONE, False, None, []),
        (Source.ANGEL_ONE, True, None, ["price_stale"]),
        (Source.YAHOO, False, None, ["price_delayed"]),
        (Source.YAHOO, True, 130, ["price_stale", "price_delayed", "price_unconfirmed"]),
    ],
)
def test_a_price_that_may_differ_from_the_exchange_is_a_warning(
    source: Source, stale: bool, unconfirmed: int | None, codes: list[str]
) -> None:
    pending = None if unconfirmed is None else quote(unconfirmed)
    found = price_warnings(quote(100, source), stale=stale, unconfirmed=pending)
    assert [str(each.code) for each in found] == codes
