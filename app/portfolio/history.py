"""The equity curve of a portfolio, from its books and the prices that this process can prove."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import sleep

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
from app.domain.statistics import Flow
from app.models import Movement, MovementKind, Portfolio
from app.models.trade_bookings import find_bookings
from app.portfolio.valuation import value
from app.services import now, services

# The time of a recording is another than that of the trades.
CLOCK_TOLERANCE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class EquityHistory:
    """The points of a period, oldest first; the last one is live."""

    interval: Interval
    points: Sequence[EquityPoint]


def equity_history(
    portfolio: Portfolio, period: Period, interval: Interval | None = None
) -> EquityHistory:
    """Return the equity of the portfolio's current season over a period, until now.

    Without an `interval` it is the shortest whose points are not too many; days are cut to the
    last MAX_POINTS. Never waits for a price. Raises InvalidRequest for too many points.
    """
    until = now()
    live = _live_point(portfolio, until)
    start = period.start(until, portfolio.season_started_at)
    interval = interval or choose_interval(start, until)
    if interval is Interval.DAY:
        start = max(start, until - (MAX_POINTS - 2) * interval.length)
    times = times_between(start, until, interval)
    if len(times) >= MAX_POINTS:
        raise _too_many_points(interval, choose_interval(start, until))
    bookings = list(find_bookings(portfolio.user_id, portfolio.id, start, until))
    held = {symbol: sums for symbol, sums in portfolio.exposure.items() if sums.trades}
    symbols = held.keys() | {booking.symbol for booking in bookings}
    flows = _flows(portfolio, start, until)
    prices = _closing_prices(symbols, interval, times)
    past = points_before(live, held, times, bookings=bookings, flows=flows, prices=prices)
    return EquityHistory(interval, [*reversed(list(past)), live])


def _live_point(portfolio: Portfolio, time: datetime) -> EquityPoint:
    performance = value(portfolio)
    return EquityPoint(
        time=time,
        balance=portfolio.current_season.balance,
        net_deposits=portfolio.deposits - portfolio.withdrawals,
        realized_pnl=portfolio.total_pnl,
        unrealized_pnl=None if performance.unpriced else performance.active_pnl,
    )


def _flows(portfolio: Portfolio, since: datetime, until: datetime) -> list[Flow]:
    movements = Movement.find_season(portfolio.user_id, portfolio.id, portfolio.season)
    return [
        Flow(movement.created_at, movement.amount)
        for movement in movements
        if movement.kind in (MovementKind.DEPOSIT, MovementKind.WITHDRAWAL)
        and since < movement.created_at <= until
    ]


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
