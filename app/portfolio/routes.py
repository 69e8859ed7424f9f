"""The routes of a user's portfolio."""

from __future__ import annotations

from flask import Blueprint

from app.portfolio import service
from app.portfolio.report_routes import blueprint as reports
from app.portfolio.schemas import CreatePortfolioRequest, PortfolioResponse
from app.web.api import endpoint
from app.web.auth import current_principal

blueprint = Blueprint("portfolio", __name__, url_prefix="/portfolio")
blueprint.register_blueprint(reports)


@blueprint.post("/create")
@endpoint(
    body=CreatePortfolioRequest,
    responses={200: PortfolioResponse, 201: PortfolioResponse},
    errors={401: ["account_gone"], 409: ["too_many_portfolios"]},
)
def create_portfolio(body: CreatePortfolioRequest) -> tuple[PortfolioResponse, int]:
    """Open the signed-in user's portfolio; return 200 with it if it exists."""
    portfolio, created = service.open_portfolio(current_principal().user_id, body.initial_margin)
    return PortfolioResponse.of(portfolio), 201 if created else 200


@blueprint.get("/<user_id>")
@endpoint(
    responses={200: PortfolioResponse}, errors={403: ["forbidden"], 404: ["portfolio_not_found"]}
)
def show_portfolio(user_id: str) -> PortfolioResponse:
    """Show the margin available and in use, and the realized P&L."""
    return PortfolioResponse.of(service.get_portfolio(user_id))
