"""Positions: what is held, net by symbol."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.domain.quote import QuoteDetails
from app.monitor import Monitor
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.users import Trader


def positions_of(trader: Trader) -> list[dict[str, Any]]:
    answer = trader.get(f"/portfolio/{trader.client_id}/positions")
    assert answer.status_code == 200, answer.text
    positions: list[dict[str, Any]] = answer.get_json()["positions"]
    return positions


def test_a_portfolio_without_open_trades_has_no_positions(alice: Trader) -> None:
    closed = alice.create_trade().get_json()
    alice.post(f"/trades/exit/{closed['trade_id']}")

    assert positions_of(alice) == []


def test_trades_of_one_symbol_are_one_position(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    alice.create_trade(quantity=1)  # at 25,000
    feed.tick("^NSEI", "25010.00")
    monitor.run_once()
    alice.create_trade(quantity=2)
    feed.tick("^NSEI", "25020.50")
    monitor.run_once()

    (position,) = positions_of(alice)
    assert position == {
        "symbol": "^NSEI",
        "quantity": 3,
        "trades": 2,
        "average_entry": 25_006.67,  # 75,020 / 3
        "last_price": 25_020.5,
        "price_time": "2026-11-23T04:00:00.000Z",
        "stale": False,
        "market_value": 75_061.5,
        "unrealized_pnl": 41.5,
        "day_pnl": None,
        "weight_pct": 75.03,  # of 100,041.50
    }
    assert position["unrealized_pnl"] == sum(each["unrealized_pnl"] for each in alice.trades())


def test_a_short_position_is_negative_and_symbols_are_in_order(alice: Trader) -> None:
    alice.create_trade(symbol="RELIANCE", trade_type="SELL", quantity=50)
    alice.create_trade(symbol="^BSESN")

    share, index = positions_of(alice)
    assert (share["symbol"], index["symbol"]) == ("RELIANCE.NS", "^BSESN")
    assert (share["quantity"], share["market_value"], share["weight_pct"]) == (-50, -70_000, -70.0)
    assert share["average_entry"] == share["last_price"] == 1_400


def test_a_flat_position_has_its_pnl_and_no_average_entry(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    alice.create_trade(quantity=2)
    feed.tick("^NSEI", 25_030)
    monitor.run_once()
    alice.create_trade(trade_type="SELL", quantity=2)
    feed.tick("^NSEI", 26_000)
    monitor.run_once()

    (position,) = positions_of(alice)
    assert (position["quantity"], position["trades"], position["average_entry"]) == (0, 2, None)
    assert (position["market_value"], position["unrealized_pnl"]) == (0.0, 60.0)


def test_the_day_pnl_counts_from_the_previous_close_or_a_later_entry(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    alice.create_trade(symbol="RELIANCE", quantity=10)  # at 1,400
    assert positions_of(alice)[0]["day_pnl"] is None
    clock.advance(24 * 3_600)
    feed.tick("RELIANCE.NS", 1_400)
    monitor.run_once()
    alice.create_trade(symbol="RELIANCE", quantity=5)
    alice.create_trade(symbol="RELIANCE", trade_type="SELL", quantity=2)
    feed.tick("RELIANCE.NS", "1430.50", QuoteDetails(previous_close=Decimal("1410.25")))
    monitor.run_once()

    (position,) = positions_of(alice)
    # 10 since 1,410.25; 5 bought and 2 sold at 1,400 on the same day.
    assert position["day_pnl"] == 10 * 20.25 + 3 * 30.5
    assert position["unrealized_pnl"] == 13 * 30.5


def test_a_position_keeps_its_last_price_and_says_that_it_is_stale(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock
) -> None:
    alice.create_trade()
    feed.set("^NSEI", 0)
    clock.advance(60)

    (position,) = positions_of(alice)
    assert (position["last_price"], position["stale"]) == (25_000.0, True)


def test_without_equity_a_position_has_no_weight(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    alice.create_trade(quantity=20)
    feed.tick("^NSEI", 20_000)
    monitor.run_once()

    (position,) = positions_of(alice)
    assert (position["unrealized_pnl"], position["weight_pct"]) == (-100_000.0, None)


def test_anothers_positions_are_forbidden(alice: Trader, bob: Trader) -> None:
    assert_error(bob.get(f"/portfolio/{alice.client_id}/positions"), 403, "forbidden")


def test_positions_without_a_portfolio_are_a_404(carol: Trader) -> None:
    answer = carol.get(f"/portfolio/{carol.client_id}/positions")
    assert_error(answer, 404, "portfolio_not_found")
