"""The routes of the reports on trades: statistics, and the export."""

from __future__ import annotations

from flask import Blueprint, Response, stream_with_context

from app.extensions import limiter
from app.portfolio.service import find_portfolio, get_portfolio, get_season
from app.trades.export import read_trades
from app.trades.report_schemas import ExportQuery, StatisticsResponse, TradesCsv
from app.trades.statistics import compute_statistics
from app.web.api import endpoint
from app.web.schemas import SeasonQuery

blueprint = Blueprint("reports", __name__)
EXPORTS = "60 per hour"


@blueprint.get("/statistics/<user_id>")
@endpoint(
    query=SeasonQuery,
    responses={200: StatisticsResponse},
    errors={403: ["forbidden"], 404: ["portfolio_not_found", "season_not_found"]},
)
def show_statistics(user_id: str, query: SeasonQuery) -> StatisticsResponse:
    """Show win rate, profit factor, drawdown, Sharpe ratio and more, by symbol and by day."""
    portfolio = get_portfolio(user_id, query.portfolio)
    statistics = compute_statistics(portfolio, get_season(portfolio, query.season))
    return StatisticsResponse.of(statistics)


@blueprint.get("/<user_id>/export.csv")
@limiter.limit(EXPORTS, override_defaults=False)
@endpoint(
    query=ExportQuery,
    responses={200: TradesCsv},
    errors={
        400: ["unknown_symbol"],
        403: ["forbidden"],
        404: ["portfolio_not_found", "season_not_found"],
    },
    produces="text/csv",
)
def export_trades(user_id: str, query: ExportQuery) -> Response:
    """Get the trades of a season as CSV, streamed, oldest first. 60 an hour."""
    portfolio = find_portfolio(user_id, query.portfolio)
    batches = read_trades(portfolio, season=query.season, status=query.status, symbol=query.symbol)
    stream = stream_with_context(TradesCsv.stream(batches))
    headers = {"Content-Disposition": "attachment; filename=trades.csv"}
    return Response(stream, mimetype="text/csv", headers=headers)
