"""The checks of an order, one by one and in their order."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.domain.candle import IST
from app.domain.checks import (
    MAX_PENDING,
    Funds,
    Market,
    entry_price,
    form_problems,
    funds_problems,
    market_problems,
)
from app.domain.errors import MarketClosed, MarketDataUnavailable, PaperTradingError
from app.domain.instrument import Instrument
from app.domain.order import Order, OrderType, TimeInForce
from app.domain.side import TradeType
from tests.support.quotes import DETAILS, quote

BUY, SELL = TradeType.BUY, TradeType.SELL
LIMIT, STOP, STOP_LIMIT = OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT
SHARE = Instrument("X.NS", "X", "NSE", Decimal("0.10"), 1, "1")
INDEX = Instrument("^NSEI", "NIFTY 50", "NSE", Decimal("0.05"), 1, "2")
RICH = Funds(Decimal(1_000_000), Decimal("0.2"), Decimal(1_000_000))
AT_100 = Market(quote(100, symbol="X.NS"))
CLOSED = MarketClosed(datetime(2026, 11, 30, 9, 15, tzinfo=IST), "X.NS")


def order(trade_type: TradeType = BUY, /, quantity: Any = 1, **fields: Any) -> Order:
    converted: dict[str, Any] = {
        name: Decimal(str(value)) if name.endswith(("_price", "_loss")) else value
        for name, value in fields.items()
    }
    return Order("X.NS", trade_type, quantity, **converted)


def codes(*problems: PaperTradingError) -> list[str]:
    return [problem.code for problem in problems]


def in_market(order: Order, market: Market = AT_100) -> list[PaperTradingError]:
    return list(market_problems(order, SHARE, market))


@pytest.mark.parametrize(
    ("quantity", "nearest", "sentence"),
    [
        (1, {"above": 65}, "nearest: 65."),
        (64, {"above": 65}, "nearest: 65."),
        (66, {"below": 65, "above": 130}, "nearest: 65 and 130."),
        (9_999_999, {"below": 9_999_990}, "nearest: 9999990."),
    ],
)
def test_a_quantity_off_the_lot_names_the_nearest_ones(
    quantity: int, nearest: dict[str, int], sentence: str
) -> None:
    (problem,) = form_problems(order(quantity=quantity), replace(SHARE, lot_size=65))

    assert problem.code == "quantity_off_lot"
    given = {"param": "quantity", "given": quantity, "lot_size": 65}
    assert problem.details == given | nearest
    assert problem.message.endswith(sentence)


def test_whole_lots_are_accepted() -> None:
    assert not list(form_problems(order(quantity=130), replace(SHARE, lot_size=65)))


@pytest.mark.parametrize(
    ("quantity", "lot_size", "nearest"),
    [(1_801, 1, {"below": 1_800}), (1_820, 65, {"below": 1_755}), (2_000, 2_000, {})],
)
def test_a_quantity_above_the_freeze_quantity_names_the_largest_legal_one(
    quantity: int, lot_size: int, nearest: dict[str, int]
) -> None:
    share = replace(SHARE, lot_size=lot_size, freeze_quantity=1_800)
    (problem,) = form_problems(order(quantity=quantity), share)

    assert problem.code == "freeze_quantity"
    given = {"param": "quantity", "given": quantity, "freeze_quantity": 1_800}
    assert problem.details == given | nearest
    assert problem.message.startswith(
        f"Quantity {quantity} is more than one order of X.NS may have"
    )


def test_the_freeze_quantity_itself_is_accepted_and_without_one_any_quantity() -> None:
    assert not list(form_problems(order(quantity=1_800), replace(SHARE, freeze_quantity=1_800)))
    assert not list(form_problems(order(quantity=9_999_999), SHARE))


@pytest.mark.parametrize("param", ["limit_price", "stop_price", "stop_loss", "target_price"])
@pytest.mark.parametrize(
    ("price", "nearest", "sentence"),
    [
        ("110.10", {"below": Decimal("110.00")}, "nearest: 110.00."),
        ("89.90", {"above": Decimal("90.10")}, "nearest: 90.10."),
    ],
)
def test_a_price_outside_the_band_names_the_nearest_one_inside(
    param: str, price: str, nearest: dict[str, Decimal], sentence: str
) -> None:
    bands = replace(DETAILS, lower_band=Decimal("90.05"), upper_band=Decimal("110.05"))
    market = Market(replace(quote(100, symbol="X.NS"), details=bands))

    problem = in_market(order(**{param: price}), market)[0]

    assert problem.code == "price_outside_band"
    limits = {"lower_band": Decimal("90.05"), "upper_band": Decimal("110.05")}
    assert problem.details == {"param": param, "given": Decimal(price)} | limits | nearest
    assert problem.message.endswith(
        f"outside the band of X.NS today, which is at least 90.05 and at most 110.05; {sentence}"
    )


def test_a_price_on_the_band_is_inside_and_without_a_band_every_price_is() -> None:
    banded = Market(replace(quote(100, symbol="X.NS"), details=DETAILS))
    edges = order(order_type=LIMIT, limit_price=110, stop_loss=90)
    assert not in_market(edges, banded)
    far = order(stop_loss=1, target_price=9_999)
    assert not in_market(far)
    assert len(in_market(far, banded)) == 2


def test_a_band_counts_only_for_the_session_and_the_fields_that_change() -> None:
    banded = Market(replace(quote(100, symbol="X.NS"), details=DETAILS))
    far = order(stop_loss=1, target_price=9_999)

    assert not in_market(far, replace(banded, queued_for=date(2026, 11, 24)))
    (problem,) = market_problems(far, SHARE, banded, {"target_price"})
    assert problem.details["param"] == "target_price"
    assert not list(market_problems(far, SHARE, banded, {"limit_price"}))


def test_the_band_comes_before_the_side_of_a_price() -> None:
    banded = Market(replace(quote(100, symbol="X.NS"), details=DETAILS))

    assert codes(*in_market(order(stop_loss="110.10"), banded)) == [
        "price_outside_band",
        "wrong_side_of_price",
    ]


@pytest.mark.parametrize("param", ["limit_price", "stop_price", "stop_loss", "target_price"])
def test_a_price_off_the_tick_names_the_nearest_ones(param: str) -> None:
    (problem,) = form_problems(order(**{param: "99.97"}), SHARE)

    assert problem.code == "price_off_tick"
    assert problem.details == {
        "param": param,
        "given": Decimal("99.97"),
        "tick_size": Decimal("0.10"),
        "below": Decimal("99.90"),
        "above": Decimal("100.00"),
    }
    assert problem.message.endswith(
        "99.97 is not a multiple of the tick size of X.NS, which is 0.10; "
        "nearest: 99.90 and 100.00."
    )


@pytest.mark.parametrize(
    ("price", "tick_size", "missing"),
    [("0.03", "0.10", "below"), ("9999999.97", "7.00", "above")],
)
def test_only_possible_prices_are_named(price: str, tick_size: str, missing: str) -> None:
    share = replace(SHARE, tick_size=Decimal(tick_size))
    (problem,) = form_problems(order(stop_loss=price), share)

    assert missing not in problem.details
    assert {"below", "above"} & problem.details.keys()


def test_only_the_given_fields_of_a_modification_are_checked() -> None:
    kept = order(quantity=3, stop_loss="99.97", target_price="110.03")
    share = replace(SHARE, lot_size=2)
    (problem,) = form_problems(kept, share, {"target_price"})
    assert problem.details["param"] == "target_price"
    assert not list(form_problems(kept, share, {"limit_price"}))


def test_levels_of_an_index_are_whole_paise_and_its_entry_prices_on_the_tick() -> None:
    assert not list(form_problems(order(stop_loss="99.97", target_price="100.01"), INDEX))
    for param in ("limit_price", "stop_price"):
        (problem,) = form_problems(order(**{param: "99.97"}), INDEX)
        assert problem.details["below"] == Decimal("99.95")


@pytest.mark.parametrize("order_type", [STOP, STOP_LIMIT])
@pytest.mark.parametrize(
    ("trade_type", "stop_price", "nearest"),
    [
        (BUY, 100, {"above": Decimal("100.10")}),
        (BUY, "99.90", {"above": Decimal("100.10")}),
        (SELL, 100, {"below": Decimal("99.90")}),
        (SELL, "100.10", {"below": Decimal("99.90")}),
    ],
)
def test_a_stop_entry_that_is_reached_already_would_trigger_immediately(
    order_type: OrderType, trade_type: TradeType, stop_price: Any, nearest: dict[str, Decimal]
) -> None:
    (problem,) = in_market(order(trade_type, order_type=order_type, stop_price=stop_price))

    assert problem.code == "would_trigger_immediately"
    given = {"param": "stop_price", "given": Decimal(stop_price), "price": Decimal(100)}
    assert problem.details == given | nearest
    (side,) = nearest
    assert problem.message == (
        f"Stop price {stop_price} must be {side} the price, which is 100: "
        "the order would be triggered at once."
    )


def test_a_stop_entry_beyond_the_price_is_accepted() -> None:
    assert not in_market(order(BUY, order_type=STOP, stop_price="100.10"))
    assert not in_market(order(SELL, order_type=STOP, stop_price="99.90"))


@pytest.mark.parametrize(
    ("entry", "accepted"),
    [
        # A market order, and a limit that is reached, are filled at the quote.
        ({}, ("99.90", "100.10")),
        ({"order_type": LIMIT, "limit_price": 110}, ("99.90", "100.10")),
        ({"order_type": LIMIT, "limit_price": 90}, ("89.90", "90.10")),
        ({"order_type": STOP, "stop_price": 110}, ("109.90", "110.10")),
        # A stop-limit order is filled between the two prices, or after a return to its limit.
        ({"order_type": STOP_LIMIT, "stop_price": 110, "limit_price": 112}, ("109.90", "112.10")),
        ({"order_type": STOP_LIMIT, "stop_price": 110, "limit_price": 105}, ("104.90", "105.10")),
    ],
)
def test_levels_are_compared_with_the_price_of_the_entry(
    entry: dict[str, Any], accepted: tuple[str, str]
) -> None:
    below, above = accepted
    assert not in_market(order(BUY, stop_loss=below, target_price=above, **entry))

    tick = Decimal("0.10")
    for param, level, nearest in (
        ("stop_loss", Decimal(below) + tick, {"below": Decimal(below)}),
        ("target_price", Decimal(above) - tick, {"above": Decimal(above)}),
    ):
        (problem,) = in_market(order(BUY, **{param: level}, **entry))
        assert problem.code == "wrong_side_of_price"
        assert problem.details.items() >= {"param": param, "given": level, **nearest}.items()


def test_levels_of_a_sell_are_on_the_other_sides() -> None:
    assert not in_market(order(SELL, stop_loss="100.10", target_price="99.90"))
    wrong = order(SELL, stop_loss="99.90", target_price="100.10")
    assert [problem.details["param"] for problem in in_market(wrong)] == [
        "stop_loss",
        "target_price",
    ]
    entry = {"order_type": STOP_LIMIT, "stop_price": 90, "limit_price": 88}
    assert not in_market(order(SELL, stop_loss="90.10", target_price="87.90", **entry))
    assert codes(*in_market(order(SELL, stop_loss=90, **entry))) == ["wrong_side_of_price"]


def test_the_sentence_names_the_entry_price_of_an_order_that_waits() -> None:
    (problem,) = in_market(order(order_type=LIMIT, limit_price=90, stop_loss=95))
    assert problem.message == "Stop loss 95 must be below the entry price, which is 90."


def test_a_quote_off_the_tick_still_has_legal_neighbours() -> None:
    (problem,) = in_market(order(stop_loss=101), Market(quote("100.05")))
    assert problem.details["below"] == Decimal("100.00")


def test_a_price_that_no_order_is_taken_at_judges_no_level() -> None:
    missing = MarketDataUnavailable("No price.")
    assert in_market(order(stop_loss=101), Market(quote(100), None, missing)) == [missing]


def test_problems_come_in_the_order_of_the_checks() -> None:
    missing = MarketDataUnavailable("No price.")
    wrong = order(stop_loss="101", order_type=STOP, stop_price=100)
    assert codes(*in_market(wrong, Market(quote(100), CLOSED))) == [
        "would_trigger_immediately",
        "wrong_side_of_price",
        "market_closed",
    ]
    assert in_market(order(), Market(None, CLOSED, missing)) == [CLOSED, missing]


@pytest.mark.parametrize(
    ("available", "lot_size", "affordable"),
    [
        ("199.99", 1, {"below": 9}),
        ("19.99", 1, {}),
        ("-50", 1, {}),
        ("199.99", 4, {"below": 8}),
        ("59.99", 4, {}),
    ],
)
def test_too_little_margin_names_the_quantity_that_has_enough(
    available: str, lot_size: int, affordable: dict[str, int]
) -> None:
    funds = replace(RICH, available_margin=Decimal(available))
    share = replace(SHARE, lot_size=lot_size)
    (problem,) = funds_problems(order(quantity=12), share, AT_100, funds)

    assert problem.code == "insufficient_margin"
    assert problem.details == {
        "required_margin": Decimal("240.00"),
        "available_margin": Decimal(available),
        "param": "quantity",
        "given": 12,
        **affordable,
    }


def test_a_rounded_margin_counts_for_the_affordable_quantity() -> None:
    # 7 x 0.02 x 0.2 = 0.028 is rounded to 0.03, 8 x 0.02 x 0.2 = 0.032 as well.
    market = Market(quote("0.02"))
    funds = replace(RICH, available_margin=Decimal("0.03"))
    (problem,) = funds_problems(order(quantity=9), SHARE, market, funds)
    assert problem.details["below"] == 8


def test_used_up_equity_refuses_an_order_that_has_enough_margin() -> None:
    funds = replace(RICH, equity=Decimal(0))
    (problem,) = funds_problems(order(), SHARE, AT_100, funds)
    assert (problem.code, problem.details["equity"]) == ("insufficient_margin", 0)


@pytest.mark.parametrize(
    ("entry", "price"),
    [
        ({}, 100),
        ({"order_type": LIMIT, "limit_price": 110}, 100),
        ({"order_type": LIMIT, "limit_price": 90}, 90),
        ({"order_type": STOP, "stop_price": 110}, 110),
        ({"order_type": STOP_LIMIT, "stop_price": 110, "limit_price": 112}, 112),
    ],
)
def test_margin_is_blocked_at_the_price_of_the_entry(entry: dict[str, Any], price: int) -> None:
    assert entry_price(order(**entry), quote(100)) == price
    required = Decimal(price) / 5
    enough, short = (replace(RICH, available_margin=required - d) for d in (0, Decimal("0.01")))
    assert not list(funds_problems(order(**entry), SHARE, AT_100, enough))
    assert codes(*funds_problems(order(**entry), SHARE, AT_100, short)) == ["insufficient_margin"]


def test_a_market_order_without_a_quote_has_no_price_and_no_margin() -> None:
    assert entry_price(order(), None) is None
    assert not list(funds_problems(order(), SHARE, Market(None), RICH))


def test_an_order_that_ends_unfilled_needs_nothing() -> None:
    poor = replace(RICH, available_margin=Decimal(0), equity=Decimal(0), pending=MAX_PENDING)
    limit: dict[str, Any] = {"order_type": LIMIT, "time_in_force": TimeInForce.IOC}
    assert not list(funds_problems(order(**limit, limit_price=90), SHARE, AT_100, poor))
    filled = order(**limit, limit_price=100)
    assert codes(*funds_problems(filled, SHARE, AT_100, poor)) == ["insufficient_margin"]


def test_a_user_has_a_limited_number_of_waiting_trades() -> None:
    resting = order(order_type=LIMIT, limit_price=90)
    full, room = (replace(RICH, pending=MAX_PENDING - left) for left in (0, 1))

    (problem,) = funds_problems(resting, SHARE, AT_100, full)
    assert problem.code == "too_many_pending"
    assert problem.details == {"param": "order_type", "given": "LIMIT", "limit": 250}
    assert not list(funds_problems(resting, SHARE, AT_100, room))
    # What fills on arrival never waits.
    assert not list(funds_problems(order(), SHARE, AT_100, full))
    marketable = order(order_type=LIMIT, limit_price=110)
    assert not list(funds_problems(marketable, SHARE, AT_100, full))
