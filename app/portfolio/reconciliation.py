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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.database.snapshots import reads_of_one_instant
from app.database.transactions import run_transaction
from app.domain.money import ZERO
from app.domain.position import Position
from app.models import Inbox, Movement, MovementKind, Notification, Portfolio, Trade

# Each try finds the books changed after it has read them.
MAX_TRIES = 5
OnProgress = Callable[[int], object]


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


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What was recorded of a user at one instant, and how it differs from what it should be."""

    portfolios: Sequence[Portfolio]
    inbox: Inbox | None
    differences: Sequence[Difference]


class StillChanging(Exception):
    """The user's books changed between each comparison and its repair."""


def find_differences(user_id: str, on_progress: OnProgress | None = None) -> list[Difference]:
    """Return the differences of a user, all of one instant.

    The trades are read in batches; `on_progress` is called with the size of each.
    """
    return list(_compare(user_id, on_progress).differences)


def repair(user_id: str) -> list[Difference]:
    """Correct a user's portfolios and inbox; return what differed.

    Raises StillChanging if they change all the time.
    """
    for _ in range(MAX_TRIES):
        comparison = _compare(user_id)
        correct = partial(_correct, user_id, comparison)
        if run_transaction(correct, user_ids=[user_id]):
            return list(comparison.differences)
    raise StillChanging(user_id)


def _compare(user_id: str, on_progress: OnProgress | None = None) -> _Comparison:
    with reads_of_one_instant():
        portfolios, inbox = Portfolio.find_all(user_id), Inbox.find(user_id)
        if not portfolios or inbox is None:
            return _Comparison(portfolios, inbox, [])
        differences = [
            difference
            for portfolio in portfolios
            for difference in _portfolio_differences(portfolio, on_progress)
        ]
        last_seq = Notification.last_seq(user_id, inbox.event_seq)
    if inbox.event_seq != last_seq:
        differences.append(Difference(user_id, None, "event_seq", inbox.event_seq, last_seq))
    return _Comparison(portfolios, inbox, differences)


def _correct(user_id: str, comparison: _Comparison) -> bool:
    """Set what differs to its recomputed value; return False if it was changed meanwhile."""
    # Whatever changes a trade or adds an event changes one of these.
    if Portfolio.find_all(user_id) != comparison.portfolios:
        return False
    if Inbox.find(user_id) != comparison.inbox:
        return False
    recomputed: dict[str | None, dict[str, Any]] = defaultdict(dict)
    for difference in comparison.differences:
        recomputed[difference.portfolio][difference.field] = difference.recomputed
    for portfolio in comparison.portfolios:
        if fields := recomputed.get(portfolio.name):
            portfolio.correct(fields)
    if of_inbox := recomputed.get(None):
        Inbox.correct_event_seq(user_id, of_inbox["event_seq"])
    return True


def _portfolio_differences(
    portfolio: Portfolio, on_progress: OnProgress | None
) -> Iterator[Difference]:
    owner = portfolio.user_id, portfolio.id
    movements = Movement.find_season(*owner, portfolio.season)
    recomputed = _recompute(portfolio, movements, _season_trades(portfolio, on_progress))
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


def _season_trades(portfolio: Portfolio, on_progress: OnProgress | None) -> Iterator[Trade]:
    first, recorded = portfolio.season_start + 1, portfolio.trade_count
    for batch in Trade.find_all(portfolio.user_id, portfolio.id, first=first, recorded=recorded):
        yield from batch
        if on_progress:
            on_progress(len(batch))


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
