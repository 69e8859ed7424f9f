"""The routes of trades."""

from __future__ import annotations

from flask import Blueprint

from app.api import endpoint
from app.identity import current_user_id
from app.models import RequestKey
from app.schemas import NoBody
from app.trades import exits, service, valuation
from app.trades.schemas import (
    CreateTradeRequest,
    ExitAllResponse,
    ExitResponse,
    PerformanceResponse,
    TradesQuery,
    TradesResponse,
    TradeView,
)

blueprint = Blueprint("trades", __name__, url_prefix="/trades")


@blueprint.post("/create")
@endpoint(body=CreateTradeRequest, answers={201: TradeView}, errors=[404], idempotent=True)
def create_trade(body: CreateTradeRequest, key: RequestKey | None) -> tuple[TradeView, int]:
    """Open a trade at the latest price, with a stop-loss and a target if given."""
    return TradeView.of(service.open_trade(current_user_id(), body, key)), 201


@blueprint.post("/exit/<trade_id>")
@endpoint(body=NoBody, answers={200: ExitResponse}, errors=[404], idempotent=True)
def exit_trade(trade_id: str, body: NoBody, key: RequestKey | None) -> ExitResponse:
    """Close a trade at the latest price."""
    exit = exits.exit_trade(current_user_id(), trade_id, key)
    return ExitResponse(message="Trade exited", pnl=exit.pnl, exit_price=exit.price)


@blueprint.post("/exit-all/<user_id>")
@endpoint(body=NoBody, answers={200: ExitAllResponse}, errors=[403], idempotent=True)
def exit_all_trades(user_id: str, body: NoBody, key: RequestKey | None) -> ExitAllResponse:
    """Close all active trades at the latest prices."""
    count, total_pnl = exits.exit_all(user_id, key)
    return ExitAllResponse(message="All trades exited", total_pnl=total_pnl, count=count)


@blueprint.get("/<user_id>")
@endpoint(query=TradesQuery, answers={200: TradesResponse}, errors=[403, 404])
def list_trades(user_id: str, query: TradesQuery) -> TradesResponse:
    """List trades, newest first; active ones with their last known price and unrealized P&L."""
    trades, next_cursor = service.list_trades(user_id, query)
    return TradesResponse.of(trades, valuation.known_quotes(trades), next_cursor)


@blueprint.get("/performance/<user_id>")
@endpoint(answers={200: PerformanceResponse}, errors=[403, 404])
def show_performance(user_id: str) -> PerformanceResponse:
    """Show realized and unrealized P&L and how much of the margin is in use."""
    return PerformanceResponse.of(valuation.value_portfolio(user_id))
