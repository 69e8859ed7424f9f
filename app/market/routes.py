"""The routes of prices and symbols."""

from __future__ import annotations

from flask import Blueprint

from app.api import endpoint
from app.market import service
from app.market.schemas import QuoteResponse, SymbolsQuery, SymbolsResponse, SymbolView

blueprint = Blueprint("market", __name__, url_prefix="/market")


@blueprint.get("/live/<symbol>")
@endpoint(answers={200: QuoteResponse}, errors=[404], public=True)
def live_price(symbol: str) -> QuoteResponse:
    """Show the latest price of a symbol or alias, in any case."""
    quote = service.latest_quote(symbol)
    return QuoteResponse.of(quote, service.suspicion_of(quote.symbol))


@blueprint.get("/symbols")
@endpoint(query=SymbolsQuery, answers={200: SymbolsResponse}, public=True)
def symbols(query: SymbolsQuery) -> SymbolsResponse:
    """List what can be traded; `q` searches symbols and names."""
    found = service.search_symbols(query.q)
    return SymbolsResponse(symbols=[SymbolView.of(each) for each in found])
