"""The events of portfolios: a message for the user, and data for programs."""

from __future__ import annotations

from app.domain.money import format_rupees
from app.domain.portfolio import DEFAULT_NAME
from app.models import EventDraft, Movement, MovementKind, Season


def funds_moved(movement: Movement, portfolio: str) -> EventDraft:
    """Return the event of a deposit or a withdrawal; `portfolio` is the name."""
    is_deposit = movement.kind is MovementKind.DEPOSIT
    amount = format_rupees(abs(movement.amount))
    return EventDraft(
        user_id=movement.user_id,
        type="funds_deposited" if is_deposit else "funds_withdrawn",
        message=f"{'Deposited' if is_deposit else 'Withdrew'} {amount}{in_portfolio(portfolio)}.",
        data={
            "movement_id": str(movement.id),
            "portfolio": portfolio,
            "amount": movement.amount,
            "available_margin": movement.balance_after,
            "season": movement.season,
            "created_at": movement.created_at,
        },
    )


def portfolio_reset(
    movement: Movement, portfolio: str, ended: Season, exited: int, cancelled: int
) -> EventDraft:
    """Return the event of a reset; `exited` and `cancelled` count the trades it closed."""
    return EventDraft(
        user_id=movement.user_id,
        type="portfolio_reset",
        message=f"Portfolio reset{in_portfolio(portfolio)}: season {ended.number} ended with "
        f"{format_rupees(ended.balance)}, season {movement.season} begins with "
        f"{format_rupees(movement.balance_after)}.",
        data={
            "portfolio": portfolio,
            "season": movement.season,
            "initial_margin": movement.balance_after,
            "available_margin": movement.balance_after,
            "exited": exited,
            "cancelled": cancelled,
            "ended": {**ended.to_document(), "balance": ended.balance},
            "reset_at": movement.created_at,
        },
    )


def in_portfolio(name: str) -> str:
    """Return the words that name a portfolio in a message; none for the default one."""
    return "" if name == DEFAULT_NAME else f" in {name}"
