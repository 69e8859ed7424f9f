"""Opening trades by REST."""

from __future__ import annotations

from math import copysign
from typing import Any

import pytest

from app.monitor import Monitor
from tests.support.factories import assert_portfolio_balances
from tests.support.market import ScriptedFeed
from tests.support.responses import TRADE, assert_error, assert_shape
from tests.support.users import Trader


def test_opening_a_trade_blocks_its_margin(alice: Trader) -> None:
    answer = alice.create_trade(quantity=10)

    assert answer.status_code == 201
    trade = answer.get_json()
    assert trade["entry_price"] == 25_000.0
    assert trade["margin_used"] == 50_000.0
    assert trade["status"] == "ACTIVE"
    assert alice.portfolio()["available_margin"] == 50_000.0
    assert alice.portfolio()["utilized_margin"] == 50_000.0


def test_the_answer_tells_everything_of_the_trade(alice: Trader) -> None:
    answer = alice.create_trade(
        symbol="reliance", quantity=3, stop_loss=1_390, target_price=1_410.1
    )

    trade = answer.get_json()
    assert_shape(trade, TRADE)
    assert trade == {
        "trade_id": trade["trade_id"],
        "user_id": alice.client_id,
        "portfolio": "default",
        "symbol": "RELIANCE.NS",
        "trade_type": "BUY",
        "quantity": 3,
        "entry_price": 1_400.0,
        "stop_loss": 1_390.0,
        "target_price": 1_410.1,
        "status": "ACTIVE",
        "created_at": "2026-11-23T04:00:00.000Z",
        "margin_used": 840.0,
        "fill_profile": "plain",
        "exit_price": None,
        "pnl": None,
        "closed_at": None,
        "best_price": None,
        "trailing_stop": None,
        "exit_reason": None,
        "client_order_id": None,
        "settled_from": None,
        "last_price": trade["last_price"],
        "price_time": trade["price_time"],
        "stale": trade["stale"],
        "unrealized_pnl": trade["unrealized_pnl"],
        "order_type": "MARKET",
        "limit_price": None,
        "stop_price": None,
        "time_in_force": None,
        "expires_at": None,
        "queued_for": None,
        "triggered_at": None,
        "filled_at": None,
        "open_quantity": 3,
        "ordered_quantity": 3,
        "oco_id": None,
        "rest_trade_id": None,
        "split_from": None,
        "exit_queued": None,
        "end_reason": None,
        "version": 0,
        "trailing_offset": None,
        "trailing_pct": None,
        "trailing_step": None,
    }
    assert_portfolio_balances(alice.client_id)


def test_a_sell_has_its_stop_above_and_its_target_below(alice: Trader) -> None:
    answer = alice.create_trade(trade_type="SELL", stop_loss=25_010, target_price=24_990)

    assert answer.status_code == 201
    trade = answer.get_json()
    assert (trade["trade_type"], trade["stop_loss"], trade["target_price"]) == (
        "SELL",
        25_010.0,
        24_990.0,
    )
    assert_portfolio_balances(alice.client_id)


def test_margin_is_rounded_to_the_paisa_half_up(alice: Trader, feed: ScriptedFeed) -> None:
    feed.set("TCS.NS", "0.13")  # x 1 x 0.2 = 0.026
    assert alice.create_trade(symbol="TCS").get_json()["margin_used"] == 0.03
    feed.set("INFY.NS", "1000.12")  # x 3 x 0.2 = 600.072
    assert alice.create_trade(symbol="INFY", quantity=3).get_json()["margin_used"] == 600.07
    assert alice.portfolio()["available_margin"] == 99_399.9
    assert_portfolio_balances(alice.client_id)


@pytest.mark.parametrize(
    ("order", "field", "rule"),
    [
        ({"trade_type": "BUY", "stop_loss": 25_000}, "stop_loss", "below 25000.00"),
        ({"trade_type": "BUY", "stop_loss": 25_000.01}, "stop_loss", "below 25000.00"),
        ({"trade_type": "BUY", "target_price": 25_000}, "target_price", "above 25000.00"),
        ({"trade_type": "BUY", "target_price": 0.01}, "target_price", "above 25000.00"),
        ({"trade_type": "SELL", "stop_loss": 25_000}, "stop_loss", "above 25000.00"),
        ({"trade_type": "SELL", "stop_loss": 24_999.99}, "stop_loss", "above 25000.00"),
        ({"trade_type": "SELL", "target_price": 25_000}, "target_price", "below 25000.00"),
        ({"trade_type": "SELL", "target_price": 26_000}, "target_price", "below 25000.00"),
    ],
)
def test_a_level_on_the_wrong_side_is_refused_naming_the_price(
    alice: Trader, order: dict[str, Any], field: str, rule: str
) -> None:
    answer = alice.create_trade(**order)

    details = assert_error(answer, 400, "wrong_side_of_price")
    nearest, side = (24_999.99 if rule.startswith("below") else 25_000.01), rule.split()[0]
    own = {"param": field, "given": order[field], side: nearest}
    assert details == {field: f"must be {rule}", "price": 25_000.0, **own}
    assert "25000.00" in answer.get_json()["error"]
    assert alice.trades() == []


def test_a_price_off_the_tick_of_a_share_is_refused_naming_the_nearest_ones(alice: Trader) -> None:
    answer = alice.create_trade(symbol="RELIANCE", stop_loss=1_390.05)

    assert assert_error(answer, 400, "price_off_tick") == {
        "param": "stop_loss",
        "given": 1_390.05,
        "tick_size": 0.1,
        "below": 1_390.0,
        "above": 1_390.1,
    }
    assert answer.get_json()["error"] == (
        "Stop loss 1390.05 is not a multiple of the tick size of RELIANCE.NS, which is 0.10; "
        "nearest: 1390.00 and 1390.10."
    )
    assert alice.create_trade(symbol="RELIANCE", stop_loss=1_390.1).status_code == 201


def test_levels_of_an_index_may_be_any_paise(alice: Trader) -> None:
    answer = alice.create_trade(stop_loss=24_750.01, target_price=25_249.99)
    assert (answer.status_code, answer.get_json()["stop_loss"]) == (201, 24_750.01)


def test_the_first_problem_of_an_order_is_the_answer(alice: Trader) -> None:
    wrong = {"symbol": "RELIANCE", "quantity": 1_000, "stop_loss": 1_500.05}
    assert_error(alice.create_trade(**wrong), 400, "price_off_tick")
    assert_error(alice.create_trade(**wrong | {"stop_loss": 1_500}), 400, "wrong_side_of_price")
    assert_error(alice.create_trade(**wrong | {"stop_loss": 1_300}), 400, "insufficient_margin")
    assert alice.trades() == []


def test_too_little_margin_states_the_required_and_the_available_amount(alice: Trader) -> None:
    alice.create_trade(quantity=19)
    answer = alice.create_trade(quantity=2)

    details = assert_error(answer, 400, "insufficient_margin")
    assert details == {
        "required_margin": 10_000.0,
        "available_margin": 5_000.0,
        "param": "quantity",
        "given": 2,
        "below": 1,
    }
    assert len(alice.trades()) == 1
    assert_portfolio_balances(alice.client_id)


def test_the_last_paisa_of_margin_can_be_used(alice: Trader) -> None:
    assert alice.create_trade(quantity=20).status_code == 201
    assert alice.portfolio()["available_margin"] == 0.0
    assert_error(alice.create_trade(symbol="RELIANCE"), 400, "insufficient_margin")
    assert_portfolio_balances(alice.client_id)


def test_a_loss_leaves_less_margin_to_trade_with(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(quantity=20).get_json()
    feed.tick("^NSEI", 20_000)
    monitor.run_once()
    alice.post(f"/trades/exit/{trade['trade_id']}")

    assert alice.portfolio()["available_margin"] == 0.0
    assert_error(alice.create_trade(), 400, "insufficient_margin")
    assert_portfolio_balances(alice.client_id)


def test_a_loss_may_be_larger_than_the_margin(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(quantity=20).get_json()
    for price in (21_000, 19_000):
        feed.tick("^NSEI", price)
        monitor.run_once()
    alice.post(f"/trades/exit/{trade['trade_id']}")

    assert alice.portfolio()["available_margin"] == -20_000.0
    performance = alice.get(f"/trades/performance/{alice.client_id}").get_json()
    assert performance["total_pnl"] == -120_000.0
    details = assert_error(alice.create_trade(), 400, "insufficient_margin")
    assert (details["required_margin"], details["available_margin"]) == (3_800.0, -20_000.0)
    assert "below" not in details
    assert_portfolio_balances(alice.client_id)


def test_no_order_is_taken_while_open_trades_have_used_up_the_equity(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    alice.create_trade(quantity=16)
    for price in (21_000, 18_750):
        feed.tick("^NSEI", price)
        monitor.run_once()

    assert alice.portfolio()["available_margin"] == 20_000.0
    details = assert_error(alice.create_trade(), 400, "insufficient_margin")
    own = {"param": "quantity", "given": 1}
    margins = {"required_margin": 3_750.0, "available_margin": 20_000.0, "equity": 0.0}
    assert details == margins | own
    assert len(alice.trades()) == 1
    assert_portfolio_balances(alice.client_id)
    feed.tick("^NSEI", 18_751)
    monitor.run_once()
    assert alice.create_trade().status_code == 201


def test_the_utilization_is_zero_or_more_and_a_hundred_or_more_without_equity(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    def utilization() -> float:
        performance = alice.get(f"/trades/performance/{alice.client_id}").get_json()
        assert isinstance(performance["margin_utilization_pct"], float)
        return float(performance["margin_utilization_pct"])

    lost = alice.create_trade(quantity=12).get_json()
    kept = alice.create_trade(quantity=4).get_json()
    assert utilization() == 80.0
    for price in (21_000, 17_000):
        feed.tick("^NSEI", price)
        monitor.run_once()
    # 80 % of the capital, which open trades have lost.
    assert utilization() == 100.0
    alice.post(f"/trades/exit/{lost['trade_id']}")
    # 20,000 of the 4,000 that are left.
    assert utilization() == 500.0
    for price in (14_000, 12_000):
        feed.tick("^NSEI", price)
        monitor.run_once()
    alice.post(f"/trades/exit/{kept['trade_id']}")
    assert alice.portfolio()["available_margin"] == -48_000.0
    assert (utilization(), copysign(1, utilization())) == (0.0, 1.0)


def test_an_order_without_a_portfolio_is_refused(carol: Trader) -> None:
    assert_error(carol.create_trade(), 404, "portfolio_not_found")


def test_an_unknown_symbol_is_refused_and_one_without_a_price_a_503(alice: Trader) -> None:
    assert "symbol" in assert_error(alice.create_trade(symbol="NOSUCH"), 400, "unknown_symbol")
    answer = alice.create_trade(symbol="TCS")
    assert_error(answer, 503, "market_data_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert alice.portfolio()["available_margin"] == 100_000.0


BAD_FIELDS: list[tuple[str, Any]] = [
    *(("quantity", value) for value in ("10", "1", 1.5, True, None, 0, -1, 10_000_001, 10**30)),
    *(("quantity", value) for value in ([1], {"$gt": 0}, "")),
    *(("symbol", value) for value in ("", None, 7, "x" * 41, {"$gt": ""}, ["^NSEI"], True)),
    *(("trade_type", value) for value in ("B", "HOLD", "", None, 1, {"$ne": "SELL"})),
    *(("stop_loss", value) for value in (24_990.001, 0, -1, "24990", True, [1], {"$gt": 0}, 1e9)),
    *(("target_price", value) for value in (25_000.005, 0, -5.5, "26000", False, 10_000_000.01)),
]


def test_an_invalid_order_is_refused_by_field_and_nothing_is_written(
    alice: Trader, subtests: pytest.Subtests
) -> None:
    for field, value in BAD_FIELDS:
        with subtests.test(field=field, value=repr(value)[:40]):
            answer = alice.create_trade(**{field: value})
            assert set(assert_error(answer, 400, "validation_error")) == {field}
    assert alice.trades() == []
    assert alice.portfolio()["available_margin"] == 100_000.0
    assert_portfolio_balances(alice.client_id)


def test_missing_and_extra_fields_are_named(alice: Trader) -> None:
    missing = assert_error(alice.post("/trades/create", {}), 400, "validation_error")
    assert set(missing) == {"symbol", "trade_type", "quantity"}
    extra = alice.create_trade(user_id="bob", entry_price=1, margin_used=0, status="CLOSED")
    named = set(assert_error(extra, 400, "validation_error"))
    assert named == {"user_id", "entry_price", "margin_used", "status"}
    assert alice.trades() == []


def test_the_largest_quantity_is_ten_million(alice: Trader, feed: ScriptedFeed) -> None:
    feed.set("TCS.NS", "0.05")
    answer = alice.create_trade(symbol="TCS", quantity=10_000_000)

    assert answer.status_code == 201
    assert answer.get_json()["margin_used"] == 100_000.0
    assert_portfolio_balances(alice.client_id)


def test_null_levels_are_no_levels(alice: Trader) -> None:
    trade = alice.create_trade(stop_loss=None, target_price=None).get_json()
    assert (trade["stop_loss"], trade["target_price"]) == (None, None)


def test_a_stop_loss_closes_at_the_tick_that_crosses_it(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(quantity=2, stop_loss=24_990).get_json()

    feed.tick("^NSEI", "24990.05")
    assert monitor.run_once().closed == 0
    feed.tick("^NSEI", "24989.5")
    assert monitor.run_once().closed == 1

    (closed,) = alice.trades()
    assert closed["trade_id"] == trade["trade_id"]
    assert closed["status"] == "STOP_LOSS_HIT"
    assert closed["exit_price"] == 24_989.5
    assert closed["pnl"] == -21.0
    assert alice.portfolio()["available_margin"] == 99_979.0
    assert_portfolio_balances(alice.client_id)


@pytest.mark.parametrize(
    ("order", "price", "status", "reason", "pnl"),
    [
        ({"trade_type": "BUY", "target_price": 25_010}, 25_010, "TARGET_HIT", "target", 10.0),
        ({"trade_type": "BUY", "stop_loss": 24_990}, 24_990, "STOP_LOSS_HIT", "stop_loss", -10.0),
        ({"trade_type": "SELL", "target_price": 24_990}, 24_989, "TARGET_HIT", "target", 10.0),
        ({"trade_type": "SELL", "stop_loss": 25_010}, 25_012, "STOP_LOSS_HIT", "stop_loss", -12.0),
    ],
)
def test_either_side_closes_at_its_stop_or_target(
    alice: Trader,
    feed: ScriptedFeed,
    monitor: Monitor,
    order: dict[str, Any],
    price: int,
    status: str,
    reason: str,
    pnl: float,
) -> None:
    alice.create_trade(**order)
    feed.tick("^NSEI", price)
    monitor.run_once()

    (closed,) = alice.trades()
    assert_shape(closed, TRADE)
    assert (closed["status"], closed["exit_reason"]) == (status, reason)
    # A stop exits at the tick that reached it, a target at its own price.
    assert closed["exit_price"] == float(order.get("target_price", price))
    assert closed["pnl"] == pnl
    assert closed["margin_used"] == 5_000.0
    assert closed["unrealized_pnl"] is None
    assert_portfolio_balances(alice.client_id)
