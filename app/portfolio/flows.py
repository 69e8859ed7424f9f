"""Deposits and withdrawals: money that no trade earned or lost."""

from __future__ import annotations

from app.domain.statistics import Flow
from app.models import Movement, MovementKind, Portfolio, Season

FLOWS = (MovementKind.DEPOSIT, MovementKind.WITHDRAWAL)


def find_flows(portfolio: Portfolio, season: Season) -> list[Flow]:
    """Return the deposits and withdrawals of a season, in no order."""
    return [
        Flow(movement.created_at, movement.amount)
        for movement in Movement.find_season(portfolio.user_id, portfolio.id, season.number)
        if movement.kind in FLOWS
    ]
