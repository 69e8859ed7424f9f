"""The equity curve of a portfolio, from its books and the prices that this process can prove."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from time import sleep

from app.concurrency import run_blocking
from app.domain.candle import Interval, beginning_of
from app.domain.equity import (
    MAX_POINTS,
    ClosingPrices,
    EquityPoint,
    Period,
    choose_interval,
    points_before,
    times_between,
)
from app.domain.errors import InvalidRequest
from app.domain.money import ZERO
from app.domain.position import Position
from app.models import Portfolio, Season
from app.models.trade_bookings import find_bookings
from app.portfolio.flows import find_flows
from app.portfolio.valuation import value
from app.services import now, services

# The time of a recording is another than that of the trades.
CLOCK_TOLERANCE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class EquityHistory:
    """The points of a period, oldest first; the last one is its end."""

    interval: Interval
    points: Sequence[EquityPoint]


def equity_history(
    portfolio: Portfolio, season: Season, period: Period, interval: Interval | None = None
) -> EquityHistory:
    """Return the equity of a season over a period until its end, the current one's until now.

    Without an `interval` it is the shortest whose points are not too many; days are cut to the
    last MAX_POINTS. Never waits for a price. Raises InvalidRequest for too many points.
    """
    end, held = _end(portfolio, season)
    start = period.start(end.time, season.started_at)
    interval = interval or choose_interval(start, end.time)
    if interval is Interval.DAY:
        start = max(start, end.time - (MAX_POINTS - 2) * interval.length)
    times = times_between(start, end.time, interval)
    if len(times) >= MAX_POINTS:
        raise _too_many_points(interval, choose_interval(start, end.time))
    owner, count = (portfolio.user_id, portfolio.id), season.closed_count
    bookings = list(find_bookings(*owner, start, end.time, closed_count=count))
    symbols = held.keys() | {booking.symbol for booking in bookings}
    prices = _closing_prices(symbols, interval, times)
    flows = [flow for flow in find_flows(portfolio, season) if start < flow.time <= end.time]
    past = points_before(end, held, times, bookings=bookings, flows=flows, prices=prices)
    return EquityHistory(interval, [*reversed(run_blocking(list, past)), end])


def _end(portfolio: Portfolio, season: Season) -> tuple[EquityPoint, Mapping[str, Position]]:
    """Return the last point of a season, and what was held then: nothing in one that is over."""
    unrealized: Decimal | None = ZERO
    held: Mapping[str, Position] = {}
    time = season.ended_at or now()
    if season.ended_at is None:
        performance = value(portfolio)
        unrealized = None if performance.unpriced else performance.active_pnl
        held = {symbol: sums for symbol, sums in portfolio.exposure.items() if sums.trades}
    deposits = season.deposits - season.withdrawals
    return EquityPoint(time, season.balance, deposits, season.total_pnl, unrealized), held


def _closing_prices(
    symbols: Collection[str], interval: Interval, times: Sequence[datetime]
) -> dict[str, ClosingPrices]:
    """Return the past prices that this process made itself: those of the simulated market.

    No candle is stored, and a real source would have to be waited for.
    """
    feed, quotes = services().feed, services().quotes
    if feed.remote or abs(feed.now() - now()) > CLOCK_TOLERANCE or not times:
        return {}
    since = beginning_of(times[0], interval) - interval.length
    prices = {}
    for symbol in filter(quotes.is_polled, symbols):
        prices[symbol] = ClosingPrices(feed.history(symbol, interval, since, times[-1]), interval)
        # Other requests run first.
        sleep(0)
    return prices


def _too_many_points(interval: Interval, allowed: Interval) -> InvalidRequest:
    rule = f"must be {allowed.value} or longer: a history has at most {MAX_POINTS:,} points"
    return InvalidRequest(f"`interval` {rule}.", code="invalid_range", details={"interval": rule})
