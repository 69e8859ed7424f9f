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
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class ExpectedBalances:
    """The recomputed fields of a portfolio. Amounts are rupees."""

    initial_margin: Decimal
    utilized_margin: Decimal = ZERO
    total_pnl: Decimal = ZERO
    trade_count: int = 0
    closed_count: int = 0
    winner_count: int = 0
    exposure: dict[str, Position] = field(default_factory=lambda: defaultdict(Position))

    @property
    def available_margin(self) -> Decimal:
        return self.initial_margin + self.total_pnl - self.utilized_margin

    @classmethod
    def of(cls, initial_margin: Decimal, trades: Iterable[Trade]) -> ExpectedBalances:
        """Recompute a portfolio from all its trades."""
        balances = cls(initial_margin)
        for trade in trades:
            balances._add(trade)
        return balances

    def _add(self, trade: Trade) -> None:
        self.trade_count = max(self.trade_count, trade.number)
        if trade.status.is_open:
            self.utilized_margin += trade.margin_used
            self.exposure[trade.symbol] += Position.of(trade.bracket)
        elif trade.exit is not None:
            self.total_pnl += trade.exit.pnl
            self.closed_count += 1
            self.winner_count += trade.exit.pnl > 0

    def as_fields(self) -> dict[str, Any]:
        """Return the fields by name, as the portfolio has them."""
        return {
            "available_margin": self.available_margin,
            "utilized_margin": self.utilized_margin,
            "total_pnl": self.total_pnl,
            "trade_count": self.trade_count,
            "closed_count": self.closed_count,
            "winner_count": self.winner_count,
            "exposure": {
                symbol: position for symbol, position in self.exposure.items() if position.trades
            },
        }


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
    recorded = {name: getattr(portfolio, name) for name in ExpectedBalances(ZERO).as_fields()}
    recorded["exposure"] = {
        symbol: position
        for symbol, position in portfolio.exposure.items()
        if position != Position()
    }
    recomputed = ExpectedBalances.of(portfolio.initial_margin, Trade.find_all(user_id)).as_fields()
    recorded["event_seq"] = inbox.event_seq
    recomputed["event_seq"] = Notification.last_seq(user_id)
    return [
        Difference(user_id, name, recorded[name], recomputed[name])
        for name in recomputed
        if recorded[name] != recomputed[name]
    ]
