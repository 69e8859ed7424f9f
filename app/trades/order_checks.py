"""The checks of an order before it is carried out, with what this server knows of the market."""

from __future__ import annotations

from app.domain.checks import Market, form_problems, market_problems
from app.domain.errors import MarketDataUnavailable, PriceTooOld
from app.domain.instrument import Instrument
from app.domain.order import Order
from app.domain.quote import Quote
from app.services import now, services


def check_order(order: Order) -> tuple[Instrument, Quote]:
    """Return the instrument and the quote of an order; raise the first problem.

    The margin is checked when it is blocked.
    """
    instrument = services().instruments.get_tradable(order.symbol)
    for problem in form_problems(order, instrument):
        raise problem
    market = look_up(instrument.symbol)
    for problem in market_problems(order, instrument, market):
        raise problem
    assert market.quote is not None
    return instrument, market.quote


def look_up(symbol: str) -> Market:
    """Return the market of a symbol; wait for its price as an order does, a second at most."""
    quotes, closed = services().quotes, services().calendar.closed(now(), symbol)
    try:
        return Market(quotes.require_recent(symbol), closed)
    except (MarketDataUnavailable, PriceTooOld) as error:
        known = quotes.known([symbol]).get(symbol)
        return Market(known.quote if known else None, closed, error)
