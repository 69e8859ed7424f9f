"""The routes of trades."""

from __future__ import annotations

from flask import Blueprint

from app.models import IdempotencyKey
from app.portfolio import valuation
from app.portfolio.service import get_portfolio
from app.trades import exits, service
from app.trades.change_routes import blueprint as changes
from app.trades.current_prices import current_prices
from app.trades.detail_views import TradeDetail
from app.trades.exit_all import exit_all
from app.trades.exit_schemas import (
    ExitAllRequest,
    ExitAllResponse,
    ExitRequest,
    ExitResponse,
    QueuedExitResponse,
)
from app.trades.oco_routes import blueprint as oco
from app.trades.preview import preview_order
from app.trades.preview_schemas import PreviewResponse
from app.trades.report_routes import blueprint as reports
from app.trades.schemas import (
    PLACING_ERRORS,
    CreateTradeRequest,
    PerformanceResponse,
    TradesQuery,
    TradesResponse,
)
from app.trades.views import TradeView
from app.web.api import endpoint
from app.web.auth import current_principal
from app.web.principal import Scope
from app.web.schemas import PortfolioQuery

blueprint = Blueprint("trades", __name__, url_prefix="/trades")
blueprint.register_blueprint(reports)
blueprint.register_blueprint(oco)
blueprint.register_blueprint(changes)


@blueprint.post("/create")
@endpoint(
    body=CreateTradeRequest,
    responses={201: TradeView},
    errors=PLACING_ERRORS,
    idempotent=True,
)
def create_trade(body: CreateTradeRequest, key: IdempotencyKey | None) -> tuple[TradeView, int]:
    """Open a trade at the latest price, or place an order that waits for its price or session."""
    return TradeView.of(service.open_trade(current_principal().user_id, body.to_order(), key)), 201


@blueprint.post("/preview")
@endpoint(
    body=CreateTradeRequest,
    responses={200: PreviewResponse},
    errors={401: ["account_gone"], 404: ["portfolio_not_found"]},
    scope=Scope.READ,
)
def preview_trade(body: CreateTradeRequest) -> PreviewResponse:
    """Show what an order would cost and earn, and all that is wrong with it; write nothing."""
    return PreviewResponse.of(preview_order(current_principal().user_id, body.to_order()))


@blueprint.post("/exit/<trade_id>")
@endpoint(
    body=ExitRequest,
    responses={200: ExitResponse, 202: QueuedExitResponse},
    errors={
        400: ["quantity_off_lot"],
        401: ["account_gone"],
        404: ["trade_not_found"],
        409: [
            *("changed_meanwhile", "last_price_too_early", "market_closed"),
            *("quantity_not_held", "trade_not_active"),
        ],
        503: ["market_data_unavailable"],
    },
    idempotent=True,
)
def exit_trade(
    trade_id: str, body: ExitRequest, key: IdempotencyKey | None
) -> ExitResponse | tuple[QueuedExitResponse, int]:
    """Exit a trade at the last traded price: all that it holds, or a part."""
    user_id, at_last = current_principal().user_id, bool(body.at_last_price)
    done = exits.exit_trade(user_id, trade_id, key, share=body.share, at_last_price=at_last)
    if isinstance(done, exits.Queued):
        return QueuedExitResponse.of(done), 202
    return ExitResponse.of(done)


@blueprint.post("/exit-all/<user_id>")
@endpoint(
    body=ExitAllRequest,
    responses={200: ExitAllResponse},
    errors={
        400: ["unknown_symbol"],
        401: ["account_gone"],
        403: ["forbidden"],
        404: ["portfolio_not_found"],
        409: ["market_closed"],
    },
    idempotent=True,
)
def exit_all_trades(
    user_id: str, body: ExitAllRequest, key: IdempotencyKey | None
) -> ExitAllResponse:
    """Exit all trades of a portfolio or symbol, or queue the exits; list what cannot exit."""
    return ExitAllResponse.of(exit_all(user_id, body.to_selection(), key))


@blueprint.get("/<user_id>")
@endpoint(
    query=TradesQuery,
    responses={200: TradesResponse},
    errors={
        400: ["unknown_symbol"],
        403: ["forbidden"],
        404: ["not_found", "portfolio_not_found", "season_not_found"],
    },
)
def list_trades(user_id: str, query: TradesQuery) -> TradesResponse:
    """List trades, newest first; open ones with their last known price and unrealized P&L."""
    trades, next_cursor = service.list_trades(user_id, **dict(query))
    return TradesResponse.of(trades, current_prices(trades), next_cursor)


@blueprint.get("/<user_id>/<trade_id>")
@endpoint(responses={200: TradeDetail}, errors={403: ["forbidden"], 404: ["trade_not_found"]})
def show_trade(user_id: str, trade_id: str) -> TradeDetail:
    """Show one trade, with the quotes that opened and closed it."""
    trade = service.get_trade(user_id, trade_id)
    return TradeDetail.of_one(trade, current_prices([trade]).get(trade.id))


@blueprint.get("/performance/<user_id>")
@endpoint(
    query=PortfolioQuery,
    responses={200: PerformanceResponse},
    errors={403: ["forbidden"], 404: ["portfolio_not_found"]},
)
def show_performance(user_id: str, query: PortfolioQuery) -> PerformanceResponse:
    """Show realized and unrealized P&L and how much of the margin is in use."""
    return PerformanceResponse.of(valuation.value(get_portfolio(user_id, query.portfolio)))
