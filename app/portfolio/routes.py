"""The routes of a user's portfolio."""

from __future__ import annotations

from flask import Blueprint

from app.portfolio import service
from app.portfolio.funds_routes import blueprint as funds
from app.portfolio.report_routes import blueprint as reports
from app.portfolio.schemas import (
    ChangePortfolioRequest,
    CreatePortfolioRequest,
    PortfolioResponse,
    PortfoliosResponse,
)
from app.web.api import endpoint
from app.web.auth import current_principal
from app.web.schemas import PortfolioQuery

blueprint = Blueprint("portfolio", __name__, url_prefix="/portfolio")
blueprint.register_blueprint(reports)
blueprint.register_blueprint(funds)


@blueprint.post("/create")
@endpoint(
    body=CreatePortfolioRequest,
    responses={200: PortfolioResponse, 201: PortfolioResponse},
    errors={401: ["account_gone"], 409: ["too_many_portfolios"]},
)
def create_portfolio(body: CreatePortfolioRequest) -> tuple[PortfolioResponse, int]:
    """Open a portfolio of the signed-in user; return 200 with it if it exists."""
    portfolio, created = service.open_portfolio(
        current_principal().user_id, body.initial_margin, body.name, body.fill_profile
    )
    return PortfolioResponse.of(portfolio), 201 if created else 200


@blueprint.get("/<user_id>")
@endpoint(
    query=PortfolioQuery,
    responses={200: PortfolioResponse},
    errors={403: ["forbidden"], 404: ["portfolio_not_found"]},
)
def show_portfolio(user_id: str, query: PortfolioQuery) -> PortfolioResponse:
    """Show the margin available and in use, and the realized P&L."""
    return PortfolioResponse.of(service.get_portfolio(user_id, query.portfolio))


@blueprint.patch("/<user_id>")
@endpoint(
    body=ChangePortfolioRequest,
    responses={200: PortfolioResponse},
    errors={403: ["forbidden"], 404: ["portfolio_not_found"]},
)
def change_portfolio(user_id: str, body: ChangePortfolioRequest) -> PortfolioResponse:
    """Change how the next trades of a portfolio are filled."""
    return PortfolioResponse.of(
        service.change_portfolio(user_id, body.portfolio, body.fill_profile)
    )


@blueprint.get("/<user_id>/list")
@endpoint(responses={200: PortfoliosResponse}, errors={403: ["forbidden"]})
def list_portfolios(user_id: str) -> PortfoliosResponse:
    """List the portfolios of the user, the oldest first."""
    return PortfoliosResponse.of(service.list_portfolios(user_id))
