"""Previewing an order: what it would cost and earn, and all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from app.domain.checks import (
    Funds,
    Market,
    form_problems,
    funds_problems,
    market_problems,
    tick_size_of,
)
from app.domain.errors import InvalidRequest, PaperTradingError
from app.domain.fill_profile import FillProfile
from app.domain.instrument import Instrument
from app.domain.order import Order
from app.domain.preview import (
    Estimate,
    OrderWarning,
    order_warnings,
    price_warnings,
    touch_fill_pct,
    touch_warnings,
)
from app.domain.quote import Quote
from app.market_data.quotes import KnownQuote
from app.models import Portfolio
from app.portfolio.service import fill_profile_of, get_portfolio
from app.portfolio.valuation import value
from app.services import services
from app.trades.order_checks import look_up
from app.trades.placing import count_pending, fill_model


@dataclass(frozen=True, slots=True)
class Preview:
    """An order that is not carried out. `available_margin` is in rupees.

    `symbol` is the canonical one, None if it is unknown. `queued_for` is the session that the order
    would wait for, and `touch_pct` what app.domain.preview.touch_fill_pct returns. `problems` come
    in the order of the checks: creating the trade would raise the first.
    """

    order: Order
    symbol: str | None
    quote: Quote | None
    queued_for: date | None
    fill_profile: FillProfile
    touch_pct: int | None
    available_margin: Decimal
    estimate: Estimate | None
    problems: list[PaperTradingError]
    warnings: list[OrderWarning]


def preview_order(user_id: str, order: Order) -> Preview:
    """Return what the order would do; write nothing. Raises NotFound without its portfolio."""
    portfolio = get_portfolio(user_id, order.portfolio)
    rate = services().settings.margin_rate
    funds = Funds(portfolio.available_margin, rate, value(portfolio).equity, count_pending(user_id))
    instrument, problems = _find(order.symbol)
    market = look_up(order, instrument.symbol) if instrument else Market(None)
    estimate = _estimate(order, instrument, market, portfolio) if instrument else None
    if instrument:
        problems += form_problems(order, instrument)
        problems += market_problems(order, instrument, market)
        price = estimate.entry_price if estimate else None
        problems += funds_problems(order, instrument, market, funds, price)
    last = _last(instrument.symbol) if instrument else None
    profile = fill_profile_of(portfolio)
    touch_pct = touch_fill_pct(order, market, profile)
    return Preview(
        order=order,
        symbol=instrument.symbol if instrument else None,
        # The quote of a market that is closed has the time of the order, not its own.
        quote=last.quote if last and market.is_queueing else market.quote,
        queued_for=market.queued_for,
        fill_profile=profile,
        touch_pct=touch_pct,
        available_margin=funds.available_margin,
        estimate=estimate,
        problems=problems,
        warnings=[
            *order_warnings(order, market, estimate),
            *touch_warnings(touch_pct, profile),
            *_price_warnings(market.quote, last),
        ],
    )


def _estimate(
    order: Order, instrument: Instrument, market: Market, portfolio: Portfolio
) -> Estimate | None:
    trailing = order.trailing_terms(tick_size_of(instrument, "trailing_step"))
    model = fill_model(portfolio, portfolio.trade_count + 1, instrument)
    return Estimate.of(order, market, services().settings.margin_rate, trailing, model)


def _last(symbol: str) -> KnownQuote | None:
    return services().quotes.known([symbol]).get(symbol)


def _find(name: str) -> tuple[Instrument | None, list[PaperTradingError]]:
    """Return an instrument, and why it takes no orders."""
    try:
        return services().instruments.get_tradable(name), []
    except InvalidRequest as problem:
        return services().instruments.find(name), [problem]


def _price_warnings(quote: Quote | None, known: KnownQuote | None) -> Iterator[OrderWarning]:
    if quote is None:
        return
    pending = services().quotes.tick_filter.pending.get(quote.symbol)
    yield from price_warnings(
        quote,
        stale=known is not None and known.stale,
        unconfirmed=pending.quote if pending else None,
    )
