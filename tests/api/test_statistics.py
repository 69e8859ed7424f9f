"""The statistics of a user's trading, and the books of many trades."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.models.paging import PASS_SIZE
from app.monitor import Monitor
from tests.support.factories import copy_trade
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.partial_exits import exit_part, insert_cancelled
from tests.support.responses import assert_error
from tests.support.users import Trader

DAY_SECONDS = 24 * 3_600


def statistics_of(trader: Trader) -> dict[str, Any]:
    answer = trader.get(f"/trades/statistics/{trader.client_id}")
    assert answer.status_code == 200, answer.text
    statistics: dict[str, Any] = answer.get_json()
    return statistics


@pytest.fixture
def round_trip(alice: Trader, feed: ScriptedFeed, monitor: Monitor) -> Any:
    """Return a function that opens and closes a trade of alice, and so earns a number of rupees."""

    def trade(rupees: int, symbol: str = "^NSEI") -> None:
        price = alice.client.get(f"/market/live/{symbol}").get_json()["price"]
        opened = alice.create_trade(symbol=symbol).get_json()
        feed.tick(opened["symbol"], str(price + rupees))
        monitor.run_once()
        assert alice.post(f"/trades/exit/{opened['trade_id']}").get_json()["pnl"] == rupees

    return trade


def test_the_statistics_of_nothing_are_zero_or_null(alice: Trader) -> None:
    alice.create_trade()
    counts = [
        *("closed_trades", "winning_trades", "losing_trades"),
        *("longest_winning_streak", "longest_losing_streak", "current_streak"),
    ]
    amounts = ["gross_profit", "gross_loss", "total_pnl", "max_drawdown", "max_drawdown_pct"]
    undefined = [
        *("win_rate_pct", "profit_factor", "expectancy", "average_win", "average_loss"),
        *("largest_win", "largest_loss", "sharpe_ratio"),
    ]

    assert statistics_of(alice) == {
        **dict.fromkeys((*counts, *amounts), 0),
        **dict.fromkeys(undefined),
        "by_symbol": [],
        "by_day": [],
    }


def test_statistics_are_made_of_closed_trades(
    alice: Trader, round_trip: Any, clock: ManualClock
) -> None:
    round_trip(100)
    round_trip(50, "RELIANCE")
    round_trip(-30)
    clock.advance(DAY_SECONDS)
    round_trip(0)
    round_trip(-60)
    alice.create_trade()

    body = statistics_of(alice)
    by_symbol, by_day = body.pop("by_symbol"), body.pop("by_day")
    assert body == {
        "closed_trades": 5,
        "winning_trades": 2,
        "losing_trades": 2,
        "win_rate_pct": 40.0,
        "gross_profit": 150.0,
        "gross_loss": -90.0,
        "profit_factor": 1.6667,
        "expectancy": 12.0,
        "average_win": 75.0,
        "average_loss": -45.0,
        "largest_win": 100.0,
        "largest_loss": -60.0,
        "total_pnl": 60.0,
        "longest_winning_streak": 2,
        "longest_losing_streak": 1,
        "current_streak": -1,
        "max_drawdown": -90.0,
        "max_drawdown_pct": -0.0899,  # of 100,150
        "sharpe_ratio": 3.7476,  # of 120 / 100,000 and -60 / 100,120
    }
    nifty, share = sorted(by_symbol, key=lambda results: str(results["symbol"]), reverse=True)
    assert (nifty["symbol"], nifty["closed_trades"], nifty["pnl"]) == ("^NSEI", 4, 10.0)
    assert (share["symbol"], share["win_rate_pct"], share["pnl"]) == ("RELIANCE.NS", 100.0, 50.0)
    assert by_day == [
        {"day": "2026-11-23", "pnl": 120.0, "closed_trades": 3, "winning_trades": 2},
        {"day": "2026-11-24", "pnl": -60.0, "closed_trades": 2, "winning_trades": 0},
    ]


def test_days_of_the_exchange_without_exits_count_for_the_sharpe_ratio(
    alice: Trader, round_trip: Any, clock: ManualClock
) -> None:
    round_trip(100)
    assert statistics_of(alice)["sharpe_ratio"] is None
    clock.advance(DAY_SECONDS)  # Tuesday; it is a holiday (Guru Nanak Jayanti).
    holiday = statistics_of(alice)["sharpe_ratio"]
    clock.advance(DAY_SECONDS)

    assert holiday is None
    assert statistics_of(alice)["sharpe_ratio"] == 11.225  # (0.001 + 0) / 2 / stdev


def test_deposits_are_capital_and_no_profit(
    alice: Trader, round_trip: Any, clock: ManualClock
) -> None:
    def fund(kind: str, amount: int) -> None:
        answer = alice.post(f"/portfolio/{alice.client_id}/{kind}", {"amount": amount})
        assert answer.status_code == 200, answer.text

    fund("deposit", 100_000)
    clock.advance(30)
    round_trip(-1_000)
    clock.advance(30)
    fund("withdraw", 150_000)

    statistics = statistics_of(alice)
    assert (statistics["total_pnl"], statistics["max_drawdown"]) == (-1_000.0, -1_000.0)
    assert statistics["max_drawdown_pct"] == -0.5  # of 200,000


def test_the_statistics_agree_with_the_performance(alice: Trader, round_trip: Any) -> None:
    for rupees in (10, -20, 30):
        round_trip(rupees)

    statistics = statistics_of(alice)
    performance = alice.get(f"/trades/performance/{alice.client_id}").get_json()
    for name in ("total_pnl", "closed_trades", "winning_trades", "win_rate_pct"):
        assert statistics[name] == performance[name], name


def test_a_history_of_several_batches_is_counted_completely(alice: Trader, round_trip: Any) -> None:
    round_trip(10)
    count = 2 * PASS_SIZE + 1
    copy_trade(alice.client_id, count)

    statistics = statistics_of(alice)
    assert (statistics["closed_trades"], statistics["total_pnl"]) == (count, 10.0 * count)
    assert statistics["longest_winning_streak"] == count


def test_a_trade_exited_in_parts_is_one_result_and_each_part_has_its_day(
    app: Flask, alice: Trader, feed: ScriptedFeed, clock: ManualClock
) -> None:
    trade = alice.create_trade(quantity=3).get_json()["trade_id"]
    feed.set("^NSEI", 24_990)
    clock.advance(30)
    exit_part(app, alice.client_id, trade, 2)
    insert_cancelled(app, alice.client_id)

    half_way = statistics_of(alice)
    assert (half_way["closed_trades"], half_way["total_pnl"]) == (0, -20.0)
    assert (half_way["max_drawdown"], half_way["by_symbol"]) == (-20.0, [])

    clock.advance(DAY_SECONDS)
    feed.set("^NSEI", 25_050)
    clock.advance(30)
    alice.post(f"/trades/exit/{trade}")

    statistics = statistics_of(alice)
    assert (statistics["closed_trades"], statistics["winning_trades"]) == (1, 1)
    assert statistics["total_pnl"] == statistics["largest_win"] == 30.0
    assert statistics["max_drawdown"] == -20.0
    assert [(day["pnl"], day["closed_trades"]) for day in statistics["by_day"]] == [
        (-20.0, 0),
        (50.0, 1),
    ]


def test_anothers_statistics_are_forbidden(alice: Trader, bob: Trader) -> None:
    assert_error(bob.get(f"/trades/statistics/{alice.client_id}"), 403, "forbidden")


def test_statistics_without_a_portfolio_are_a_404(carol: Trader) -> None:
    answer = carol.get(f"/trades/statistics/{carol.client_id}")
    assert_error(answer, 404, "portfolio_not_found")
