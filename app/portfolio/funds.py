"""Deposits and withdrawals: money of a portfolio that no trade earned or lost."""

from __future__ import annotations

from decimal import Decimal

from pymongo.errors import DuplicateKeyError

from app.database.transactions import run_transaction
from app.domain.errors import BalanceTooLarge, InsufficientFunds, ResultUnconfirmed
from app.domain.money import ZERO
from app.domain.portfolio import DEFAULT_NAME, MAX_BALANCE
from app.events import publish_events, record_events
from app.models import (
    IdempotencyKey,
    IdempotencyRecord,
    Movement,
    MovementKind,
    Notification,
    Portfolio,
)
from app.portfolio.events import funds_moved
from app.portfolio.service import get_portfolio
from app.portfolio.valuation import value
from app.services import now

Written = tuple[Movement, list[Notification]]


def deposit(
    user_id: str, amount: Decimal, name: str = DEFAULT_NAME, key: IdempotencyKey | None = None
) -> Movement:
    """Add rupees to a portfolio; for a retry of `key`, return the movement of the first try.

    Raises NotFound for an unknown portfolio, BalanceTooLarge, Conflict for a key of another
    request.
    """
    return _move(user_id, MovementKind.DEPOSIT, amount, name, key)


def withdraw(
    user_id: str, amount: Decimal, name: str = DEFAULT_NAME, key: IdempotencyKey | None = None
) -> Movement:
    """Take rupees out of a portfolio; for a retry of `key`, return the movement of the first try.

    What open trades have lost so far cannot be withdrawn. Raises NotFound for an unknown
    portfolio, InsufficientFunds, Conflict for a key of another request.
    """
    return _move(user_id, MovementKind.WITHDRAWAL, -amount, name, key)


def _move(
    user_id: str, kind: MovementKind, amount: Decimal, name: str, key: IdempotencyKey | None
) -> Movement:
    try:
        movement, events = run_transaction(
            lambda: _write(user_id, kind, amount, name, key),
            already_committed=lambda moved: Movement.find_by_id(user_id, moved[0].id) is not None,
            user_ids=[user_id],
        )
    except DuplicateKeyError:
        # Another process handled the same request at the same time.
        if earlier := _moved_earlier(key):
            return earlier
        raise ResultUnconfirmed from None
    publish_events(events)
    return movement


def _write(
    user_id: str, kind: MovementKind, amount: Decimal, name: str, key: IdempotencyKey | None
) -> Written:
    if earlier := _moved_earlier(key):
        return earlier, []
    time = now()
    portfolio = Portfolio.move_funds(user_id, name, amount, time)
    if portfolio is None:
        raise _refusal(get_portfolio(user_id, name), amount)
    if amount < 0 and portfolio.available_margin + value(portfolio).active_pnl < 0:
        before = portfolio.available_margin - amount
        raise InsufficientFunds(-amount, _withdrawable(portfolio, before), before)
    movement = Movement.create(
        user_id=user_id,
        portfolio_id=portfolio.id,
        season=portfolio.season,
        kind=kind,
        amount=amount,
        balance_after=portfolio.available_margin,
        created_at=time,
    )
    if key:
        IdempotencyRecord.save(key, {"movement_id": movement.id}, time)
    return movement, record_events([funds_moved(movement, name)], time)


def _moved_earlier(key: IdempotencyKey | None) -> Movement | None:
    record = IdempotencyRecord.find(key) if key else None
    return Movement.find_by_id(key.user_id, record["movement_id"]) if key and record else None


def _refusal(portfolio: Portfolio, amount: Decimal) -> InsufficientFunds | BalanceTooLarge:
    available = portfolio.available_margin
    if amount > 0:
        return BalanceTooLarge(MAX_BALANCE, available)
    return InsufficientFunds(-amount, _withdrawable(portfolio, available), available)


def _withdrawable(portfolio: Portfolio, available: Decimal) -> Decimal:
    """Return the rupees that can be withdrawn: without what open trades have lost so far."""
    return max(available + min(value(portfolio).active_pnl, ZERO), ZERO)
