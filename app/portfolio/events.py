"""The events of portfolios: a message for the user, and data for programs."""

from __future__ import annotations

from app.domain.money import format_rupees
from app.domain.portfolio import DEFAULT_NAME
from app.models import EventDraft, Movement, MovementKind


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


def in_portfolio(name: str) -> str:
    """Return the words that name a portfolio in a message; none for the default one."""
    return "" if name == DEFAULT_NAME else f" in {name}"
