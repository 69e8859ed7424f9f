"""The checks of an order before it is carried out, with what this server knows of the market."""

from __future__ import annotations

from dataclasses import replace

from app.domain.checks import Market, form_problems, market_problems
from app.domain.errors import (
    InClosingAuction,
    MarketClosed,
    MarketDataUnavailable,
    PriceTooOld,
)
from app.domain.instrument import Instrument
from app.domain.order import Order, TimeInForce
from app.services import market_time, services


def check_order(order: Order) -> tuple[Instrument, Market]:
    """Return the instrument and the market of an order; raise the first problem.

    The market has a quote. The margin is checked when it is blocked.
    """
    instrument = services().instruments.get_tradable(order.symbol)
    for problem in form_problems(order, instrument):
        raise problem
    if order.is_trailing:
        services().bounds.expect_trailing_stop(instrument.symbol)
    market = look_up(order, instrument.symbol)
    for problem in market_problems(order, instrument, market):
        raise problem
    return instrument, market


def look_up(order: Order, symbol: str) -> Market:
    """Return the market of an order; wait for its price as an order does, a second at most."""
    parts, time = services(), market_time()
    closed = parts.calendar.closed(time, symbol) or parts.auctions.closed(symbol, time)
    if closed and _may_queue(order, closed):
        market = _look_up_closed(symbol)
        return replace(market, in_auction=isinstance(closed, InClosingAuction))
    try:
        quote = parts.quotes.require_recent(symbol)
        # The time is read again: the price may have been waited for.
        parts.actions.require_current(quote, market_time())
        return Market(quote, closed)
    except (MarketDataUnavailable, PriceTooOld) as error:
        known = parts.quotes.known([symbol]).get(symbol)
        return Market(known.quote if known else None, closed, error)


def _may_queue(order: Order, closed: MarketClosed) -> bool:
    """Return whether the order may wait for a session or an auction: IOC is filled at once."""
    may_wait = services().settings.orders_outside_hours == "queue"
    may_wait = may_wait or isinstance(closed, InClosingAuction)
    return may_wait and order.time_in_force is not TimeInForce.IOC


def _look_up_closed(symbol: str) -> Market:
    """Return the market of an order that waits for the next session, or an auction of this one.

    Its quote is the last one, however old, at the present time of the market: only later prices
    fill the order.
    """
    parts, time = services(), market_time()
    session = parts.calendar.session_of_order(time)
    try:
        last = parts.actions.in_units_at(parts.quotes.latest(symbol), time)
        quote = replace(last, timestamp=time)
    except MarketDataUnavailable as error:
        return Market(None, no_price=error, queued_for=session.day)
    return Market(quote, queued_for=session.day)
