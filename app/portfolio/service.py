"""Opening and finding portfolios."""

from __future__ import annotations

from decimal import Decimal

from app.domain.errors import AccountGone, NotFound
from app.models import Portfolio, User
from app.services import now, services


def open_portfolio(user_id: str, initial_margin: Decimal | None) -> tuple[Portfolio, bool]:
    """Return the user's portfolio, and whether this call opened it.

    Without `initial_margin` it opens with INITIAL_MARGIN rupees. Raises AccountGone for a
    token whose user is deleted.
    """
    if User.find_by_client_id(user_id) is None:
        raise AccountGone
    margin = initial_margin or services().settings.initial_margin
    return Portfolio.create(user_id, margin, now())


def get_portfolio(user_id: str) -> Portfolio:
    """Return the user's portfolio; raise NotFound if there is none."""
    portfolio = Portfolio.find_by_user_id(user_id)
    if portfolio is None:
        raise NotFound(
            "There is no portfolio yet. Open one with POST /portfolio/create.",
            code="portfolio_not_found",
        )
    return portfolio
