"""Statistics of trading: equal to those of empyrical and numpy, on any books."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.money import PAISA, ZERO
from app.domain.statistics import (
    Flow,
    Realized,
    Results,
    Statistics,
    Streaks,
    daily_returns,
    day_of,
    largest_fall,
    sharpe_ratio,
    summarize,
)

if TYPE_CHECKING:
    import pandas as pd

START = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)
INITIAL = Decimal(1_000_000)
# Small against INITIAL, so that no books of 60 trades use it up.
pnls = st.integers(-1_500_000, 1_500_000).map(lambda paise: paise * PAISA)


@st.composite
def books(draw: st.DrawFn) -> list[Realized]:
    """Draw the results of trades, in the order in which they closed."""
    time, results = START, []
    for pnl in draw(st.lists(pnls, min_size=1, max_size=60)):
        time += timedelta(minutes=draw(st.integers(0, 4_000)))
        results.append(Realized(time, draw(st.sampled_from(["^NSEI", "TCS.NS", "SBIN.NS"])), pnl))
    return results


def deposit(time: datetime, rupees: int) -> Flow:
    return Flow(time, Decimal(rupees))


def statistics_of(results: list[Realized], *flows: Flow) -> Statistics:
    return summarize(results, results, initial=INITIAL, flows=flows)


def series(results: list[Realized]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([float(result.pnl) for result in results])


# empyrical and pandas are imported where they are used: they take 1.5 s, which every worker of
# `make test` would spend to collect this file.
def returns_of(results: list[Realized]) -> pd.Series:
    import pandas as pd

    balances = float(INITIAL) + np.concatenate([[0.0], np.cumsum(series(results))[:-1]])
    return pd.Series(series(results) / balances)


@given(books())
def test_the_drawdown_is_that_of_empyrical(results: list[Realized]) -> None:
    import empyrical

    drawdown = statistics_of(results).drawdown
    expected = empyrical.max_drawdown(returns_of(results))

    assert drawdown.pct == pytest.approx(100 * expected, abs=1e-9)
    curve = np.concatenate([[0.0], np.cumsum(series(results))])
    falls = curve - np.maximum.accumulate(curve)
    assert float(drawdown.amount) == pytest.approx(falls.min(), abs=0.005)


@given(st.lists(st.floats(-0.05, 0.05), min_size=2, max_size=60))
def test_the_sharpe_ratio_is_that_of_empyrical(returns: list[float]) -> None:
    import empyrical
    import pandas as pd

    ratio = sharpe_ratio(returns)
    if np.std(returns) < 1e-12:
        assert ratio is None or len(set(returns)) > 1
    else:
        assert ratio == pytest.approx(
            empyrical.sharpe_ratio(pd.Series(returns)), rel=1e-6, abs=1e-9
        )


@given(books(), st.sets(st.integers(0, 100)))
def test_daily_returns_compound_to_the_balance_at_the_end(
    results: list[Realized], quiet: set[int]
) -> None:
    import empyrical
    import pandas as pd

    days = [day_of(START) + timedelta(days=number) for number in quiet]
    returns = daily_returns(INITIAL, results, [], days)

    assert returns is not None
    assert len(returns) == len({day_of(result.time) for result in results} | set(days))
    final = float(INITIAL) * (1 + empyrical.cum_returns_final(pd.Series(returns)))
    assert final == pytest.approx(float(INITIAL) + series(results).sum(), abs=0.01)


@given(books())
def test_the_profit_factor_is_the_omega_ratio_of_empyrical(results: list[Realized]) -> None:
    import empyrical
    import pandas as pd

    factor = statistics_of(results).results.profit_factor
    omega = empyrical.omega_ratio(pd.Series(series(results)))

    if factor is None:
        assert not (series(results) < 0).any()
    elif len(results) > 1:
        assert float(factor) == pytest.approx(omega)


@given(st.lists(pnls, max_size=60))
def test_the_results_are_those_of_numpy(results: list[Decimal]) -> None:
    all_ = np.array([float(pnl) for pnl in results])
    wins, losses = all_[all_ > 0], all_[all_ < 0]
    ours = Results.of(results)

    expected = {
        "win_rate_pct": 100 * len(wins) / len(all_) if len(all_) else None,
        "expectancy": all_.mean() if len(all_) else None,
        "average_win": wins.mean() if len(wins) else None,
        "average_loss": losses.mean() if len(losses) else None,
        "largest_win": wins.max() if len(wins) else None,
        "largest_loss": losses.min() if len(losses) else None,
    }
    for name, value in expected.items():
        actual = getattr(ours, name)
        assert (actual is None) == (value is None), name
        assert value is None or float(actual) == pytest.approx(value, abs=1e-6), name
    assert (ours.trades, ours.winners, ours.losers) == (len(all_), len(wins), len(losses))
    # The expectancy is also what a win and a loss weigh by their frequency.
    if len(all_):
        weighted = sum(part.mean() * len(part) / len(all_) for part in (wins, losses) if len(part))
        assert float(ours.expectancy or 0) == pytest.approx(weighted, abs=1e-6)


@given(st.lists(st.sampled_from([Decimal(-1), ZERO, Decimal(1)]), max_size=40))
def test_streaks_are_the_longest_runs_of_one_sign(results: list[Decimal]) -> None:
    text = "".join("+" if pnl > 0 else "-" if pnl < 0 else "0" for pnl in results)
    streaks = Streaks.of(results)

    assert "+" * streaks.winning in text
    assert "+" * (streaks.winning + 1) not in text
    assert "-" * streaks.losing in text
    assert "-" * (streaks.losing + 1) not in text
    at_the_end = len(text) - len(text.rstrip(text[-1])) if text else 0
    signs = {"+": 1, "-": -1, "0": 0}
    assert streaks.current == (signs[text[-1]] * at_the_end if text else 0)


@given(books())
def test_the_parts_by_symbol_and_by_day_add_up(results: list[Realized]) -> None:
    statistics = statistics_of(results)
    symbols, days = statistics.by_symbol.values(), statistics.by_day

    total = sum((result.pnl for result in results), ZERO)
    assert statistics.realized_pnl == statistics.results.pnl == total
    assert sum((part.pnl for part in symbols), ZERO) == total
    assert sum((day.pnl for day in days), ZERO) == total
    assert sum(part.trades for part in symbols) == len(results)
    assert sum(day.trades for day in days) == len(results)
    assert sum(day.winners for day in days) == statistics.results.winners
    assert [day.day for day in days] == sorted({day.day for day in days})


@given(books())
def test_exits_in_parts_change_no_result_of_a_trade(results: list[Realized]) -> None:
    parts = []
    for result in results:
        first = (result.pnl / 3).quantize(PAISA)
        for pnl in (first, result.pnl - first):
            parts.append(Realized(result.time, result.symbol, pnl))
    whole, in_parts = statistics_of(results), summarize(results, parts, initial=INITIAL)

    assert in_parts.results == whole.results
    assert in_parts.by_day == whole.by_day
    assert in_parts.realized_pnl == whole.realized_pnl
    assert in_parts.drawdown.amount == whole.drawdown.amount


@given(books(), st.integers(0, 59), st.integers(-500_000, 10_000_000))
def test_a_deposit_or_withdrawal_is_no_profit_or_loss(
    results: list[Realized], place: int, rupees: int
) -> None:
    flow = deposit(results[place % len(results)].time, rupees)
    without, with_flow = statistics_of(results), statistics_of(results, flow)

    assert with_flow.realized_pnl == without.realized_pnl
    assert with_flow.results == without.results
    assert with_flow.drawdown.amount == without.drawdown.amount == largest_fall(results)
    flat = [Realized(result.time, result.symbol, ZERO) for result in results]
    assert statistics_of(flat, flow).drawdown.pct == 0


@given(st.integers(2, 30), st.integers(1, 1_000))
def test_a_return_is_measured_by_the_capital_of_its_day(days: int, percent: int) -> None:
    """Twice the capital and twice the P&L are the same returns."""
    exits, flows = [], []
    balance = INITIAL
    for number in range(days):
        pnl = (balance * percent / 1_000_000).quantize(PAISA)
        time = START + timedelta(days=number)
        exits.append(Realized(time, "^NSEI", pnl))
        # The rest of the day's capital, and its profit, are deposited once more for the next day.
        balance += pnl
        flows.append(deposit(time + timedelta(days=1, hours=-2), int(balance)))
        balance += int(balance)
    returns = daily_returns(INITIAL, exits, flows, [])

    assert returns is not None
    assert returns == pytest.approx([percent / 1_000_000] * days, rel=1e-4)


def test_a_day_is_that_of_india() -> None:
    late = datetime(2026, 1, 5, 18, 29, tzinfo=UTC)

    assert day_of(late) == date(2026, 1, 5)
    assert day_of(late + timedelta(minutes=1)) == date(2026, 1, 6)
