"""Opening and finding portfolios."""

from __future__ import annotations

from decimal import Decimal

from app.database.transactions import run_transaction
from app.domain.errors import AccountGone, Conflict, NotFound
from app.domain.fill_profile import FillProfile
from app.domain.portfolio import DEFAULT_NAME
from app.models import Portfolio, Season, User
from app.services import now, services

MAX_PORTFOLIOS = 20


def open_portfolio(
    user_id: str,
    initial_margin: Decimal | None,
    name: str = DEFAULT_NAME,
    fill_profile: FillProfile | None = None,
) -> tuple[Portfolio, bool]:
    """Return the user's portfolio of this name, and whether this call opened it.

    Without `initial_margin` it opens with INITIAL_MARGIN rupees, without `fill_profile` it follows
    FILL_PROFILE of the server. Raises Conflict for one portfolio
    too many, AccountGone for a token whose user is deleted.
    """
    margin = initial_margin or services().settings.initial_margin

    def write() -> tuple[Portfolio, bool]:
        # Locks the user: portfolios open one after the other.
        if not User.count_portfolio(user_id):
            raise AccountGone
        portfolios = {portfolio.name: portfolio for portfolio in Portfolio.find_all(user_id)}
        if existing := portfolios.get(name):
            return existing, False
        if len(portfolios) >= MAX_PORTFOLIOS:
            raise _too_many_portfolios()
        return Portfolio.create(user_id, margin, now(), name, fill_profile), True

    return run_transaction(
        write,
        already_committed=lambda _: Portfolio.find_by_user_id(user_id, name) is not None,
        user_ids=[user_id],
    )


def change_portfolio(user_id: str, name: str, fill_profile: FillProfile | None) -> Portfolio:
    """Set the fill profile of the portfolio's next trades; return the portfolio.

    None stands for FILL_PROFILE of the server. Raises NotFound if there is no such portfolio.
    """
    portfolio = Portfolio.set_fill_profile(user_id, name, fill_profile, now())
    if portfolio is None:
        raise portfolio_not_found(name)
    return portfolio


def fill_profile_of(portfolio: Portfolio) -> FillProfile:
    """Return the fill profile of the portfolio's next trades."""
    return portfolio.fill_profile or FillProfile(services().settings.fill_profile)


def list_portfolios(user_id: str) -> list[Portfolio]:
    """Return the user's portfolios, the oldest first."""
    return Portfolio.find_all(user_id)


def get_portfolio(user_id: str, name: str = DEFAULT_NAME) -> Portfolio:
    """Return the user's portfolio of this name; raise NotFound if there is none."""
    portfolio = Portfolio.find_by_user_id(user_id, name)
    if portfolio is None:
        raise portfolio_not_found(name)
    return portfolio


def find_portfolio(user_id: str, name: str = DEFAULT_NAME) -> Portfolio | None:
    """Return the user's portfolio of this name, None if the default one is not open yet.

    Raises NotFound for any other name.
    """
    portfolio = Portfolio.find_by_user_id(user_id, name)
    if portfolio is None and name != DEFAULT_NAME:
        raise portfolio_not_found(name)
    return portfolio


def get_season(portfolio: Portfolio, number: int | None) -> Season:
    """Return a season of the portfolio, the current one for None; raise NotFound for another."""
    season = portfolio.find_season(number)
    if season is None:
        raise NotFound(
            f"There is no season {number} here; the current one is {portfolio.season}.",
            code="season_not_found",
            details={"season": number, "current": portfolio.season},
        )
    return season


def portfolio_not_found(name: str) -> NotFound:
    """Return the error for a name of no portfolio of the user."""
    named = "portfolio" if name == DEFAULT_NAME else f"portfolio {name}"
    return NotFound(
        f"There is no {named} yet. Open one with POST /portfolio/create.",
        code="portfolio_not_found",
        details={"portfolio": name},
    )


def _too_many_portfolios() -> Conflict:
    return Conflict(
        f"You have {MAX_PORTFOLIOS} portfolios, which is the maximum.",
        code="too_many_portfolios",
        details={"limit": MAX_PORTFOLIOS},
    )
