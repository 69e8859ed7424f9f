"""Placing orders: what becomes of one on arrival, and the money that it blocks.

The functions that write are for use in a transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bson import ObjectId

from app.domain.checks import (
    MAX_PENDING,
    Funds,
    Market,
    fills_at_once,
    insufficient_margin,
    tick_size_of,
)
from app.domain.fill_profile import FillModel, FillProfile, trade_seed
from app.domain.instrument import Instrument
from app.domain.order import Order, TimeInForce
from app.domain.order_errors import TooManyPending
from app.domain.placement import Placement, place
from app.domain.trade import Ended, EndReason, TradeStatus
from app.models import EventDraft, Portfolio, PortfolioDelta, Trade, pending
from app.models.widening import Widening
from app.portfolio.service import fill_profile_of, get_portfolio
from app.portfolio.valuation import value
from app.services import market_time, services
from app.trades.events import trade_created, trade_ended

# The longest time that an order waits.
GOOD_TILL_CANCELLED = timedelta(days=365)


def place_order(order: Order, instrument: Instrument, market: Market) -> Placement:
    """Return what becomes of an order that has passed the checks of its market."""
    trailing = order.trailing_terms(tick_size_of(instrument, "trailing_step"))
    fills = fills_at_once(order, market.quote, is_queued=market.is_queueing)
    expires_at = None if fills else expiry(order.time_in_force)
    return place(order, market, services().settings.margin_rate, expires_at, trailing)


def write_placement(
    user_id: str,
    order: Order,
    instrument: Instrument,
    placement: Placement,
    time: datetime,
    widening: Widening,
    *,
    id: ObjectId,
    oco_id: ObjectId | None = None,
    pair_offset: int = 0,
) -> tuple[Trade, EventDraft]:
    """Block the margin of a new trade, and insert it; return it and its event.

    The other order of its pair, if it has one, is the trade with the number that is `pair_offset`
    larger. Raises InsufficientMargin, also if open trades have used up the equity, TooManyPending,
    NotFound for a missing portfolio, and ExecutionTimeout if the `widening` is too old.
    """
    portfolio, placement = _block_margin(user_id, order, instrument, placement, time, pair_offset)
    trade = Trade.create(
        id=id,
        user_id=user_id,
        portfolio_id=portfolio.id,
        portfolio=portfolio.name,
        number=portfolio.trade_count,
        symbol=instrument.symbol,
        order=order,
        placement=placement,
        created_at=time,
        widening=widening,
        oco_id=oco_id,
    )
    if placement.end_reason is not None:
        return trade, trade_ended(trade, Ended(placement.end_reason))
    if trade.status is TradeStatus.PENDING and count_pending(user_id) > MAX_PENDING:
        raise TooManyPending(order.order_type.value, MAX_PENDING)
    return trade, trade_created(trade, portfolio.available_margin)


def _block_margin(
    user_id: str,
    order: Order,
    instrument: Instrument,
    placement: Placement,
    time: datetime,
    pair_offset: int,
) -> tuple[Portfolio, Placement]:
    """Block the margin of a placement; return the portfolio, and what its fill model makes of it.

    Raises InsufficientMargin.
    """
    margin, rate = placement.margin, services().settings.margin_rate
    price, position = placement.margin_price, placement.position
    symbol, name = instrument.symbol, order.portfolio
    portfolio = Portfolio.update_margin(user_id, margin, symbol, position, time, name)
    if portfolio is None:
        funds = Funds(get_portfolio(user_id, name).available_margin, rate)
        raise insufficient_margin(order, instrument, price, funds)
    if placement.end_reason is None and (equity := value(portfolio).equity) <= 0:
        funds = Funds(portfolio.available_margin + margin, rate, equity)
        raise insufficient_margin(order, instrument, price, funds)
    modelled = _modelled(portfolio, instrument, placement, pair_offset)
    portfolio = _block_again(portfolio, symbol, placement, modelled, time)
    if portfolio.available_margin < 0:
        funds = Funds(portfolio.available_margin + modelled.margin, rate)
        raise insufficient_margin(order, instrument, modelled.margin_price, funds)
    return portfolio, modelled


def _modelled(
    portfolio: Portfolio, instrument: Instrument, placement: Placement, pair_offset: int
) -> Placement:
    """Return what becomes of an order under the fill profile of its portfolio.

    If its broker rejects one order of a pair, the other ends as well.
    """
    model = fill_model(portfolio, portfolio.trade_count, instrument)
    if model is None:
        return placement
    modelled = placement.under(model)
    if pair_offset and modelled.end_reason is None:
        other = fill_model(portfolio, portfolio.trade_count + pair_offset, instrument)
        if other and other.rejection():
            return modelled.ended(EndReason.OCO_REJECTED)
    return modelled


def _block_again(
    portfolio: Portfolio, symbol: str, before: Placement, after: Placement, time: datetime
) -> Portfolio:
    """Block what a placement needs after a fill model instead of before; return the portfolio.

    Its available margin may be negative then.
    """
    margin, held, holds = before.margin - after.margin, before.position, after.position
    if not margin and held == holds:
        return portfolio
    delta = PortfolioDelta(portfolio.user_id, margin=margin)
    if held:
        delta.hold(symbol, -held)
    if holds:
        delta.hold(symbol, holds)
    Portfolio.settle_many({portfolio.id: delta}, time)
    return get_portfolio(portfolio.user_id, portfolio.name)


def fill_model(portfolio: Portfolio, number: int, instrument: Instrument) -> FillModel | None:
    """Return the model of the portfolio's trade with a number, None for the plain profile."""
    profile, settings = fill_profile_of(portfolio), services().settings
    if profile is FillProfile.PLAIN:
        return None
    return FillModel(
        profile=profile,
        seed=trade_seed(settings.fill_seed, portfolio.user_id, portfolio.name, number),
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        slippage_bps=settings.slippage_bps,
    )


def count_pending(user_id: str) -> int:
    """Return the number of the user's trades that wait for their entry, of all portfolios."""
    portfolios = Portfolio.find_all(user_id)
    return sum(pending.count_pending(user_id, portfolio.id) for portfolio in portfolios)


def expiry(time_in_force: TimeInForce) -> datetime | None:
    """Return when an order that waits ends unfilled, in the time of the market."""
    if time_in_force is TimeInForce.IOC:
        return None
    time = market_time()
    if time_in_force is TimeInForce.DAY:
        return services().calendar.session_of_order(time).end
    return time + GOOD_TILL_CANCELLED
