"""Reconciliation: a portfolio is recomputed from its trades and movements by its invariants.

- available_margin + utilized_margin = initial_margin + deposits - withdrawals + total_pnl
- utilized_margin = the sum of what open trades block: pending ones, and active ones without their
  exited parts
- total_pnl = the sum of pnl over the season's closed trades and the exited parts of active ones
- deposits, withdrawals = the sums of these movements of the season
- exposure = the sums of open trades, by symbol
- a user's events are numbered from 1 without a gap
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.database.transactions import run_transaction
from app.domain.money import ZERO
from app.domain.position import Position
from app.models import Inbox, Movement, MovementKind, Notification, Portfolio, Trade


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of a user's portfolio or inbox that differs from its recomputed value.

    `portfolio` is the name, None for the inbox.
    """

    user_id: str
    portfolio: str | None
    field: str
    recorded: Any
    recomputed: Any


def find_differences(user_id: str) -> list[Difference]:
    """Return the differences of a user, in one snapshot."""
    return run_transaction(lambda: _differences(user_id), user_ids=[user_id])


def repair(user_id: str) -> list[Difference]:
    """Correct a user's portfolios and inbox; return what differed."""

    def write() -> list[Difference]:
        differences = _differences(user_id)
        recomputed: dict[str | None, dict[str, Any]] = defaultdict(dict)
        for difference in differences:
            recomputed[difference.portfolio][difference.field] = difference.recomputed
        for portfolio in Portfolio.find_all(user_id):
            if fields := recomputed.get(portfolio.name):
                portfolio.correct(fields)
        if of_inbox := recomputed.get(None):
            Inbox.correct_event_seq(user_id, of_inbox["event_seq"])
        return differences

    return run_transaction(write, user_ids=[user_id])


def _differences(user_id: str) -> list[Difference]:
    portfolios = Portfolio.find_all(user_id)
    inbox = Inbox.find(user_id)
    if not portfolios or inbox is None:
        return []
    differences = [each for portfolio in portfolios for each in _portfolio_differences(portfolio)]
    last_seq = Notification.last_seq(user_id)
    if inbox.event_seq != last_seq:
        differences.append(Difference(user_id, None, "event_seq", inbox.event_seq, last_seq))
    return differences


def _portfolio_differences(portfolio: Portfolio) -> Iterator[Difference]:
    owner, start = (portfolio.user_id, portfolio.id), portfolio.season_start
    movements = Movement.find_season(*owner, portfolio.season)
    trades = Trade.find_all(*owner, after_number=start)
    recomputed = _recompute(portfolio, movements, trades)
    recorded = {name: getattr(portfolio, name) for name in recomputed}
    recorded["exposure"] = {
        symbol: position
        for symbol, position in portfolio.exposure.items()
        if position != Position()
    }
    for name in recomputed:
        if recorded[name] != recomputed[name]:
            yield Difference(
                portfolio.user_id, portfolio.name, name, recorded[name], recomputed[name]
            )


def _recompute(
    portfolio: Portfolio, movements: Sequence[Movement], trades: Iterable[Trade]
) -> dict[str, Any]:
    """Return fields of a portfolio, from what happened in its season. Amounts are rupees."""
    deposits, withdrawals = (
        abs(sum((movement.amount for movement in movements if movement.kind is kind), ZERO))
        for kind in (MovementKind.DEPOSIT, MovementKind.WITHDRAWAL)
    )
    utilized_margin = total_pnl = ZERO
    trade_count, closed_count, winner_count = portfolio.season_start, 0, 0
    exposure: dict[str, Position] = defaultdict(Position)
    for trade in trades:
        trade_count = max(trade_count, trade.number)
        if trade.status.is_open:
            utilized_margin += trade.margin_blocked
            total_pnl += trade.realized_pnl
            if trade.bracket:
                exposure[trade.symbol] += Position.of(trade.bracket)
        elif trade.exit is not None:
            pnl = trade.pnl_after(trade.exit)
            total_pnl += pnl
            closed_count += 1
            winner_count += pnl > 0
    balance = portfolio.initial_margin + deposits - withdrawals + total_pnl
    return {
        "deposits": deposits,
        "withdrawals": withdrawals,
        "available_margin": balance - utilized_margin,
        "utilized_margin": utilized_margin,
        "total_pnl": total_pnl,
        "trade_count": trade_count,
        "closed_count": closed_count,
        "winner_count": winner_count,
        "exposure": {symbol: position for symbol, position in exposure.items() if position.trades},
    }
