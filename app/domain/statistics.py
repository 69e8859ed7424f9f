"""Statistics of trading, from realized P&L. Amounts are rupees; a loss is negative everywhere.

A closed trade is one result, also if it was exited in parts: its P&L is the sum of its exits. The
capital that results are compared with is the balance: the initial margin, plus deposits, minus
withdrawals, plus the P&L realized before. Deposits and withdrawals are never profit or loss.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from statistics import fmean, stdev

from app.domain.candle import IST
from app.domain.money import ZERO

# The trading days of a year, as risk measures count them.
DAYS_A_YEAR = 252


@dataclass(frozen=True, slots=True)
class Realized:
    """The P&L of one closed trade, or of one exit, booked at `time`, UTC."""

    time: datetime
    symbol: str
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class Flow:
    """Money that entered (positive) or left (negative) the portfolio at `time`, UTC."""

    time: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Results:
    """Sums over closed trades. A trade with a P&L of exactly 0 is neither winner nor loser."""

    trades: int = 0
    winners: int = 0
    losers: int = 0
    gross_profit: Decimal = ZERO
    gross_loss: Decimal = ZERO
    largest_win: Decimal | None = None
    largest_loss: Decimal | None = None

    @classmethod
    def of(cls, pnls: Collection[Decimal]) -> Results:
        """Return the sums over the P&L of closed trades."""
        wins = [pnl for pnl in pnls if pnl > 0]
        losses = [pnl for pnl in pnls if pnl < 0]
        return cls(
            trades=len(pnls),
            winners=len(wins),
            losers=len(losses),
            gross_profit=sum(wins, ZERO),
            gross_loss=sum(losses, ZERO),
            largest_win=max(wins, default=None),
            largest_loss=min(losses, default=None),
        )

    @property
    def pnl(self) -> Decimal:
        """The sum of the P&L."""
        return self.gross_profit + self.gross_loss

    @property
    def win_rate_pct(self) -> Decimal | None:
        """The winners in per cent of all closed trades; None without any."""
        return Decimal(100) * self.winners / self.trades if self.trades else None

    @property
    def profit_factor(self) -> Decimal | None:
        """The gross profit divided by the gross loss, as a positive number; None without a loss."""
        return self.gross_profit / -self.gross_loss if self.gross_loss else None

    @property
    def expectancy(self) -> Decimal | None:
        """The average P&L of a closed trade; None without any."""
        return self.pnl / self.trades if self.trades else None

    @property
    def average_win(self) -> Decimal | None:
        """The average P&L of a winner; None without any."""
        return self.gross_profit / self.winners if self.winners else None

    @property
    def average_loss(self) -> Decimal | None:
        """The average P&L of a loser; None without any."""
        return self.gross_loss / self.losers if self.losers else None


@dataclass(frozen=True, slots=True)
class Streaks:
    """The most winners, and losers, in a row.

    `current` counts the last trades in a row: positive for winners, negative for losers, 0 after a
    trade with a P&L of exactly 0, which ends a streak.
    """

    winning: int = 0
    losing: int = 0
    current: int = 0

    @classmethod
    def of(cls, pnls: Iterable[Decimal]) -> Streaks:
        """Return the streaks of closed trades, by their P&L in the order in which they closed."""
        runs = [(sign, len(list(run))) for sign, run in groupby(pnls, key=_sign)]
        last_sign, last_length = runs[-1] if runs else (0, 0)
        return cls(
            winning=max((length for sign, length in runs if sign > 0), default=0),
            losing=max((length for sign, length in runs if sign < 0), default=0),
            current=last_sign * last_length,
        )


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The largest falls of realized P&L.

    `amount` is the largest fall, 0 or less, of the cumulative P&L from an earlier high, where the
    start counts as 0. `pct` is the largest fall of the compounded returns of the exits from an
    earlier high, 0 or less, as empyrical's `max_drawdown` defines it. The return of an exit is its
    P&L divided by the balance before it. `pct` is None if an exit followed the loss of the whole
    balance. The two may be of different periods.
    """

    amount: Decimal
    pct: float | None


@dataclass(frozen=True, slots=True)
class DayResult:
    """One day in India: the P&L of its exits, and the trades that closed."""

    day: date
    pnl: Decimal
    trades: int
    winners: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """`realized_pnl` includes the exited parts of trades that are still open."""

    realized_pnl: Decimal
    results: Results
    streaks: Streaks
    drawdown: Drawdown
    sharpe_ratio: float | None
    by_symbol: Mapping[str, Results]
    by_day: Sequence[DayResult]


def summarize(
    closed: Iterable[Realized],
    exits: Iterable[Realized],
    *,
    initial: Decimal,
    flows: Iterable[Flow] = (),
    days: Iterable[date] = (),
) -> Statistics:
    """Return the statistics of a portfolio, by symbol in alphabetical order and by day.

    `closed` has one entry for each closed trade, at its close; `exits` one for each exit, those of
    parts included. Entries of one time count in the given order. `initial` is the balance at the
    start, in rupees, and `days` are the trading days to count if nothing was exited on them.
    """
    by_time = attrgetter("time")
    closed, exits = sorted(closed, key=by_time), sorted(exits, key=by_time)
    flows = sorted(flows, key=by_time)
    pnls: dict[str, list[Decimal]] = defaultdict(list)
    for trade in closed:
        pnls[trade.symbol].append(trade.pnl)
    return Statistics(
        realized_pnl=sum((exit.pnl for exit in exits), ZERO),
        results=Results.of([trade.pnl for trade in closed]),
        streaks=Streaks.of(trade.pnl for trade in closed),
        drawdown=Drawdown(largest_fall(exits), largest_fall_pct(initial, exits, flows)),
        sharpe_ratio=sharpe_ratio(daily_returns(initial, exits, flows, days)),
        by_symbol={symbol: Results.of(pnls[symbol]) for symbol in sorted(pnls)},
        by_day=list(_by_day(closed, exits)),
    )


def largest_fall(exits: Iterable[Realized]) -> Decimal:
    """Return the `amount` of the Drawdown of exits in the order of their time."""
    total = high = fall = ZERO
    for exit in exits:
        total += exit.pnl
        high = max(high, total)
        fall = min(fall, total - high)
    return fall


def largest_fall_pct(
    initial: Decimal, exits: Sequence[Realized], flows: Sequence[Flow]
) -> float | None:
    """Return the `pct` of the Drawdown of exits and flows in the order of their time."""
    growth = high = 1.0
    fall = 0.0
    for balance, exit in _balances(initial, exits, flows):
        if balance <= 0:
            return None
        growth *= 1 + float(exit.pnl / balance)
        high = max(high, growth)
        fall = min(fall, growth / high - 1)
    return 100 * fall


def daily_returns(
    initial: Decimal, exits: Sequence[Realized], flows: Sequence[Flow], days: Iterable[date]
) -> list[float] | None:
    """Return the return of each day: its P&L divided by its capital.

    The days are those with exits, and `days`. The capital of a day is the balance at its start
    plus the deposits of the day. Returns None if a day with exits has no capital.
    """
    pnls, deposits, withdrawals = (defaultdict[date, Decimal](Decimal) for _ in range(3))
    for exit in exits:
        pnls[day_of(exit.time)] += exit.pnl
    for flow in flows:
        (deposits if flow.amount > 0 else withdrawals)[day_of(flow.time)] += flow.amount
    counted = pnls.keys() | set(days)
    balance, returns = initial, []
    for day in sorted(counted | deposits.keys() | withdrawals.keys()):
        balance += deposits[day]
        if day in counted and balance > 0:
            returns.append(float(pnls[day] / balance))
        elif pnls[day]:
            return None
        balance += pnls[day] + withdrawals[day]
    return returns


def sharpe_ratio(returns: Sequence[float] | None) -> float | None:
    """Return the annual Sharpe ratio of daily returns, with a risk-free rate of 0.

    It is the mean divided by the sample standard deviation, times the square root of DAYS_A_YEAR
    (W. F. Sharpe, The Sharpe Ratio, 1994). None for fewer than two days, or days that are equal.
    """
    if returns is None or len(returns) < 2:
        return None
    deviation = stdev(returns)
    return fmean(returns) / deviation * math.sqrt(DAYS_A_YEAR) if deviation else None


def day_of(time: datetime) -> date:
    """Return the day in India that contains `time`."""
    return time.astimezone(IST).date()


def _sign(pnl: Decimal) -> int:
    return (pnl > 0) - (pnl < 0)


def _balances(
    initial: Decimal, exits: Sequence[Realized], flows: Sequence[Flow]
) -> Iterator[tuple[Decimal, Realized]]:
    """Yield each exit with the balance before it; a flow of the same time counts before it."""
    balance, flowed = initial, 0
    for exit in exits:
        while flowed < len(flows) and flows[flowed].time <= exit.time:
            balance += flows[flowed].amount
            flowed += 1
        yield balance, exit
        balance += exit.pnl


def _by_day(closed: Sequence[Realized], exits: Sequence[Realized]) -> Iterator[DayResult]:
    trades: dict[date, list[Decimal]] = defaultdict(list)
    for trade in closed:
        trades[day_of(trade.time)].append(trade.pnl)
    for day, parts in groupby(exits, key=lambda part: day_of(part.time)):
        winners = sum(pnl > 0 for pnl in trades[day])
        yield DayResult(day, sum((part.pnl for part in parts), ZERO), len(trades[day]), winners)
