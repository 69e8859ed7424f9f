"""Statistics of trading: what is undefined, and what counts at one time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.money import ZERO
from app.domain.statistics import (
    DayResult,
    Drawdown,
    Flow,
    Realized,
    Results,
    Streaks,
    daily_returns,
    sharpe_ratio,
    summarize,
)

START = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
DAY = date(2026, 11, 23)
INITIAL = Decimal(1_000)


def realized(pnl: int, hours: int = 0, symbol: str = "^NSEI") -> Realized:
    return Realized(START + timedelta(hours=hours), symbol, Decimal(pnl))


def flow(rupees: int, hours: int = 0) -> Flow:
    return Flow(START + timedelta(hours=hours), Decimal(rupees))


def test_nothing_closed_has_no_averages_and_no_ratios() -> None:
    statistics = summarize([], [], initial=INITIAL)

    results = statistics.results
    assert results == Results()
    assert (results.win_rate_pct, results.profit_factor, results.expectancy) == (None, None, None)
    assert (results.average_win, results.average_loss, results.pnl) == (None, None, ZERO)
    assert statistics.streaks == Streaks()
    assert statistics.drawdown == Drawdown(ZERO, 0.0)
    assert (statistics.sharpe_ratio, statistics.by_symbol, statistics.by_day) == (None, {}, [])


def test_an_exited_part_of_an_open_trade_is_pnl_and_no_result() -> None:
    statistics = summarize([], [realized(-40)], initial=INITIAL)

    assert statistics.results.trades == 0
    assert statistics.realized_pnl == -40
    assert statistics.drawdown.amount == -40
    assert statistics.drawdown.pct == pytest.approx(-4)
    assert statistics.by_day == [DayResult(DAY, Decimal(-40), trades=0, winners=0)]


def test_the_order_is_that_of_the_times() -> None:
    later, earlier = realized(30, hours=2), realized(-30, hours=1)
    statistics = summarize([later, earlier], [later, earlier], initial=INITIAL)

    assert statistics.streaks == Streaks(winning=1, losing=1, current=1)
    assert statistics.drawdown.amount == -30


def test_a_trade_that_earns_nothing_ends_a_streak() -> None:
    assert Streaks.of(map(Decimal, (1, 2, 0, 3))) == Streaks(winning=2, losing=0, current=1)
    assert Streaks.of(map(Decimal, (-1, 0))) == Streaks(winning=0, losing=1, current=0)


def test_a_loss_is_compared_with_the_balance_after_deposits_until_then() -> None:
    def pct(*flows: Flow) -> float | None:
        return summarize([], [realized(-500, hours=2)], initial=INITIAL, flows=flows).drawdown.pct

    assert pct() == pytest.approx(-50)
    assert pct(flow(1_000, hours=1)) == pct(flow(1_000, hours=2)) == pytest.approx(-25)
    assert pct(flow(1_000, hours=3)) == pytest.approx(-50)
    assert pct(flow(-500, hours=1)) == pytest.approx(-100)


def test_returns_are_undefined_once_the_balance_is_used_up() -> None:
    exits = [realized(-1_200), realized(500, hours=1), realized(10, hours=48)]
    statistics = summarize(exits, exits, initial=INITIAL)

    assert statistics.drawdown == Drawdown(Decimal(-1_200), None)
    assert daily_returns(INITIAL, exits[:2], [], []) == [-0.7]
    assert daily_returns(Decimal(600), exits, [], []) is None
    assert summarize(exits, exits, initial=Decimal(600)).sharpe_ratio is None


def test_a_day_counts_its_deposits_before_and_its_withdrawals_after_its_trades() -> None:
    exits = [realized(100, hours=1), realized(100, hours=25)]
    flows = [flow(1_000, hours=2), flow(-1_100, hours=3)]

    assert daily_returns(INITIAL, exits, flows, []) == [0.05, 0.1]


def test_a_day_without_exits_counts_as_no_return() -> None:
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)]

    assert daily_returns(INITIAL, [realized(100)], [], days) == [0.1, 0.0, 0.0]


@pytest.mark.parametrize("returns", [None, [], [0.1], [0.1, 0.1, 0.1]])
def test_days_without_differences_have_no_sharpe_ratio(returns: list[float] | None) -> None:
    assert sharpe_ratio(returns) is None
