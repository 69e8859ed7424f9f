"""Fill models: how the fills of a new trade differ from the plain rules."""

from __future__ import annotations

from datetime import datetime

from app.domain.fill_profile import FillModel, FillProfile, trade_seed
from app.domain.instrument import Instrument
from app.domain.placement import Placement
from app.models import Portfolio, PortfolioDelta
from app.portfolio.service import fill_profile_of, get_portfolio
from app.services import services


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


def block_again(
    portfolio: Portfolio, symbol: str, before: Placement, after: Placement, time: datetime
) -> Portfolio:
    """Block what a placement needs after a fill model instead of before; return the portfolio.

    Its available margin may be negative then. Call it in the transaction that blocked the margin.
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
