"""The routes of the reports on a portfolio: what it holds, and how its equity changed."""

from __future__ import annotations

from flask import Blueprint

from app.portfolio.history import equity_history
from app.portfolio.positions import value_positions
from app.portfolio.report_schemas import EquityQuery, EquityResponse, PositionsResponse
from app.portfolio.service import get_portfolio
from app.web.api import endpoint
from app.web.schemas import PortfolioQuery

blueprint = Blueprint("reports", __name__)


@blueprint.get("/<user_id>/positions")
@endpoint(
    query=PortfolioQuery,
    responses={200: PositionsResponse},
    errors={403: ["forbidden"], 404: ["portfolio_not_found"]},
)
def show_positions(user_id: str, query: PortfolioQuery) -> PositionsResponse:
    """Show what the open trades hold, net by symbol, at the last known prices."""
    return PositionsResponse.of(value_positions(get_portfolio(user_id, query.portfolio)))


@blueprint.get("/<user_id>/history")
@endpoint(
    query=EquityQuery,
    responses={200: EquityResponse},
    errors={
        400: ["invalid_range"],
        403: ["forbidden"],
        404: ["portfolio_not_found", "season_not_found"],
    },
)
def show_equity_history(user_id: str, query: EquityQuery) -> EquityResponse:
    """Show how the equity changed over a period, from the books; the last point is live."""
    history = equity_history(user_id, query.portfolio, query.season, query.period, query.interval)
    return EquityResponse.of(query.period, history)
