"""The routes of prices and symbols."""

from __future__ import annotations

from flask import Blueprint

from app.alerts.routes import blueprint as alerts
from app.concurrency import run_blocking
from app.market import scenarios
from app.market.action_schemas import ActionsQuery, ActionsResponse
from app.market.mover_schemas import MoversQuery, MoversResponse
from app.market.quote_schemas import QuoteResponse, QuotesQuery, QuotesResponse
from app.market.schemas import (
    HistoryQuery,
    HistoryResponse,
    MarketStatusResponse,
    ScenarioRequest,
    ScenarioResponse,
    SymbolsQuery,
    SymbolsResponse,
)
from app.market.service import find_quotes
from app.models.stored_action import StoredAction
from app.services import market_time, now, services
from app.web.api import endpoint

blueprint = Blueprint("market", __name__, url_prefix="/market")
blueprint.register_blueprint(alerts)


@blueprint.get("/live/<symbol>")
@endpoint(
    responses={200: QuoteResponse},
    errors={404: ["unknown_symbol"], 503: ["market_data_unavailable"]},
    public=True,
)
def live_price(symbol: str) -> QuoteResponse:
    """Show the last traded price of a symbol or alias, in any case, however old it is."""
    quotes = services().quotes
    quote = quotes.latest(services().instruments.get(symbol).symbol)
    return QuoteResponse.of(quote, now(), quotes.tick_filter.pending_after(quote))


@blueprint.get("/quotes")
@endpoint(query=QuotesQuery, responses={200: QuotesResponse}, public=True)
def list_quotes(query: QuotesQuery) -> QuotesResponse:
    """Show the last known quotes of up to 100 symbols at once, without waiting for newer ones."""
    found = find_quotes(query.symbols)
    return QuotesResponse.of(found, now(), services().quotes.tick_filter)


@blueprint.get("/history/<symbol>")
@endpoint(
    query=HistoryQuery,
    responses={200: HistoryResponse},
    errors={400: ["invalid_range"], 404: ["unknown_symbol"], 503: ["market_data_unavailable"]},
    public=True,
)
def price_history(symbol: str, query: HistoryQuery) -> HistoryResponse:
    """Show at most 1,000 candles of a symbol, oldest first; the last may still be forming."""
    name = services().instruments.get(symbol).symbol
    candles = services().history.candles(name, query.interval, query.since, query.until)
    return HistoryResponse.of(name, query.interval, candles)


@blueprint.get("/symbols")
@endpoint(query=SymbolsQuery, responses={200: SymbolsResponse}, public=True)
def symbols(query: SymbolsQuery) -> SymbolsResponse:
    """List the instruments; `q` searches symbols, names and ISINs, best first, at most `limit`."""
    instruments = services().instruments.search(query.q, query.limit)
    # Ten thousand instruments take a while, and must not block other requests.
    return run_blocking(SymbolsResponse.of, instruments)


@blueprint.get("/corporate-actions")
@endpoint(
    query=ActionsQuery,
    responses={200: ActionsResponse},
    errors={404: ["unknown_symbol"]},
    public=True,
)
def corporate_actions(query: ActionsQuery) -> ActionsResponse:
    """List the known splits, bonuses, dividends and reorganizations, of one symbol if given."""
    name = services().instruments.get(query.symbol).symbol if query.symbol else None
    return ActionsResponse.of(StoredAction.find_all(name))


@blueprint.get("/movers")
@endpoint(query=MoversQuery, responses={200: MoversResponse}, public=True)
def movers(query: MoversQuery) -> MoversResponse:
    """Show the shares that rose, fell and traded most on the day, of those that are watched."""
    return MoversResponse.of(services().movers.latest(), query, services().instruments)


@blueprint.get("/status")
@endpoint(responses={200: MarketStatusResponse}, public=True)
def market_status() -> MarketStatusResponse:
    """Show whether the exchanges are open by their calendar, and when they next open and close."""
    return MarketStatusResponse.model_validate(services().calendar.status(market_time()))


@blueprint.post("/scenario")
@endpoint(
    body=ScenarioRequest,
    responses={201: ScenarioResponse},
    errors={403: ["scenario_not_allowed"], 409: ["not_simulated", "scenario_running"]},
)
def start_scenario(body: ScenarioRequest) -> tuple[ScenarioResponse, int]:
    """Start a scenario of the simulated market, for everyone; not in production."""
    return ScenarioResponse.of(scenarios.start_scenario(body.scenario)), 201
