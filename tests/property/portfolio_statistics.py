"""The statistics of a model's season, computed from its lots and flows: nothing of the application.

Amounts are paise.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from tests.property.portfolio_model import Flow, Lot


def assert_statistics(
    shown: dict[str, Any], lots: Sequence[Lot], flows: Sequence[Flow], initial: int
) -> None:
    """Check the response of the statistics route for a season."""
    ended = sorted((lot for lot in lots if lot.pnl is not None), key=_order)
    pnls = [lot.pnl or 0 for lot in ended]
    assert shown["total_pnl"] == _rupees(sum(pnls))
    _assert_results(shown, pnls)
    _assert_streaks(shown, pnls)
    assert shown["max_drawdown"] == _rupees(_largest_fall(pnls))
    percent = _largest_fall_pct(ended, flows, initial)
    assert shown["max_drawdown_pct"] == _near(percent, 4)
    symbols = sorted({lot.order.symbol for lot in ended})
    assert [each["symbol"] for each in shown["by_symbol"]] == symbols
    for each in shown["by_symbol"]:
        own = [lot.pnl or 0 for lot in ended if lot.order.symbol == each["symbol"]]
        assert each["pnl"] == _rupees(sum(own))
        _assert_results(each, own)
    # The machine never lives to see the next day.
    days = [(day["pnl"], day["closed_trades"], day["winning_trades"]) for day in shown["by_day"]]
    assert days == [(_rupees(sum(pnls)), len(pnls), sum(pnl > 0 for pnl in pnls))][: len(pnls)]
    assert shown["sharpe_ratio"] is None


def _order(lot: Lot) -> tuple[float, int]:
    assert lot.closed_at is not None
    return lot.closed_at, lot.number


def _assert_results(shown: dict[str, Any], pnls: Sequence[int]) -> None:
    wins, losses = [pnl for pnl in pnls if pnl > 0], [pnl for pnl in pnls if pnl < 0]
    counts = shown["closed_trades"], shown["winning_trades"], shown["losing_trades"]
    assert counts == (len(pnls), len(wins), len(losses))
    assert shown["win_rate_pct"] == _near(_ratio(100 * len(wins), len(pnls)), 2)
    assert (shown["gross_profit"], shown["gross_loss"]) == (
        _rupees(sum(wins)),
        _rupees(sum(losses)),
    )
    assert shown["profit_factor"] == _near(_ratio(sum(wins), -sum(losses)), 4)
    assert shown["expectancy"] == _near(_ratio(sum(pnls), 100 * len(pnls)), 2)
    assert shown["average_win"] == _near(_ratio(sum(wins), 100 * len(wins)), 2)
    assert shown["average_loss"] == _near(_ratio(sum(losses), 100 * len(losses)), 2)
    assert shown["largest_win"] == (_rupees(max(wins)) if wins else None)
    assert shown["largest_loss"] == (_rupees(min(losses)) if losses else None)


def _assert_streaks(shown: dict[str, Any], pnls: Sequence[int]) -> None:
    current = winning = losing = 0
    for pnl in pnls:
        sign = (pnl > 0) - (pnl < 0)
        current = current + sign if current * sign > 0 else sign
        winning, losing = max(winning, current), max(losing, -current)
    assert shown["longest_winning_streak"] == winning
    assert shown["longest_losing_streak"] == losing
    assert shown["current_streak"] == current


def _largest_fall(pnls: Sequence[int]) -> int:
    totals = [sum(pnls[:count]) for count in range(len(pnls) + 1)]
    return min(
        (later - earlier for at, earlier in enumerate(totals) for later in totals[at:]), default=0
    )


def _largest_fall_pct(lots: Sequence[Lot], flows: Sequence[Flow], initial: int) -> Fraction | None:
    growths, earned = [Fraction(1)], 0
    for lot in lots:
        assert lot.closed_at is not None
        assert lot.pnl is not None
        balance = initial + earned + sum(amount for at, amount in flows if at <= lot.closed_at)
        if balance <= 0:
            return None
        growths.append(growths[-1] * (1 + Fraction(lot.pnl, balance)))
        earned += lot.pnl
    highs = [max(growths[: at + 1]) for at in range(len(growths))]
    return 100 * min(growth / high - 1 for growth, high in zip(growths, highs, strict=True))


def _ratio(above: int, below: int) -> Fraction | None:
    return Fraction(above, below) if below else None


def _rupees(paise: int) -> float:
    return paise / 100


def _near(value: Fraction | None, digits: int) -> Any:
    """Return what equals a value that was rounded to so many digits."""
    return None if value is None else pytest.approx(float(value), abs=0.51 * 10**-digits)
