"""Reconciliation: a portfolio is recomputed from its trades by the invariants that always hold.

- available_margin + utilized_margin = initial_margin + total_pnl
- utilized_margin = the sum of margin_used over open trades
- total_pnl = the sum of pnl over closed trades
- exposure = the sums of open trades, by symbol
- a user's events are numbered from 1 without a gap
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.database.transactions import run_transaction
from app.domain.money import ZERO
from app.domain.position import Position
from app.models import Inbox, Notification, Portfolio, Trade


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of a user's portfolio or inbox that differs from its recomputed value."""

    user_id: str
    field: str
    recorded: Any
    recomputed: Any


def find_differences(user_id: str) -> list[Difference]:
    """Return the differences of a user, in one snapshot."""
    return run_transaction(lambda: _differences(user_id), user_ids=[user_id])


def repair(user_id: str) -> list[Difference]:
    """Correct a user's portfolio and inbox; return what differed."""

    def write() -> list[Difference]:
        differences = _differences(user_id)
        fields = {difference.field: difference.recomputed for difference in differences}
        last_event = fields.pop("event_seq", None)
        if fields:
            Portfolio.correct(user_id, fields)
        if last_event is not None:
            Inbox.correct_event_seq(user_id, last_event)
        return differences

    return run_transaction(write, user_ids=[user_id])


def _differences(user_id: str) -> list[Difference]:
    portfolio = Portfolio.find_by_user_id(user_id)
    inbox = Inbox.find(user_id)
    if portfolio is None or inbox is None:
        return []
    recomputed = _recompute(portfolio.initial_margin, Trade.find_all(user_id))
    recorded = {name: getattr(portfolio, name) for name in recomputed}
    recorded["exposure"] = {
        symbol: position
        for symbol, position in portfolio.exposure.items()
        if position != Position()
    }
    recorded["event_seq"] = inbox.event_seq
    recomputed["event_seq"] = Notification.last_seq(user_id)
    return [
        Difference(user_id, name, recorded[name], recomputed[name])
        for name in recomputed
        if recorded[name] != recomputed[name]
    ]


def _recompute(initial_margin: Decimal, trades: Iterable[Trade]) -> dict[str, Any]:
    """Return the fields of a portfolio, from all its trades. Amounts are rupees."""
    utilized_margin = total_pnl = ZERO
    trade_count = closed_count = winner_count = 0
    exposure: dict[str, Position] = defaultdict(Position)
    for trade in trades:
        trade_count = max(trade_count, trade.number)
        if trade.status.is_open:
            utilized_margin += trade.margin_used
            exposure[trade.symbol] += Position.of(trade.bracket)
        elif trade.exit is not None:
            total_pnl += trade.exit.pnl
            closed_count += 1
            winner_count += trade.exit.pnl > 0
    return {
        "available_margin": initial_margin + total_pnl - utilized_margin,
        "utilized_margin": utilized_margin,
        "total_pnl": total_pnl,
        "trade_count": trade_count,
        "closed_count": closed_count,
        "winner_count": winner_count,
        "exposure": {symbol: position for symbol, position in exposure.items() if position.trades},
    }
